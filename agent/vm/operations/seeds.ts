import { isDeepStrictEqual } from "node:util";
import { defined } from "../../kernel/defined.ts";
import { toSocleError } from "../../kernel/errors.ts";
import type { VmSpec } from "../../contract/spec.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import { instanceOf } from "../model/instance.ts";
import { seedText, type SeedNote } from "../model/seed-note.ts";
import { storedText } from "../model/stored-spec.ts";
import type { VmMetadata } from "../model/vm-domain.ts";
import { readSpec } from "./spec-change.ts";
import { seen, type RunContext, type WorkContext } from "./work.ts";

// The notes of a VM's cloud-init seeds in its metadata.

interface Seeded {
  readonly spec: VmSpec;
  readonly seed: SeedNote | undefined;
}

/** Writes the changed spec and note in one write, unless they are there already. */
export async function rewriteSeeds(
  context: WorkContext,
  vmId: string,
  change: (now: Seeded) => Seeded,
): Promise<Seeded> {
  const { domains } = context;
  const { spec, seed, socle } = await readSpec(context, vmId);
  const changed = change({ spec, seed });
  if (isDeepStrictEqual(changed, { spec, seed })) return changed;
  const { seed: _before, ...rest } = socle;
  const metadata = defined<VmMetadata>({
    ...rest,
    ...(isDeepStrictEqual(changed.spec, spec) ? {} : storedText(changed.spec)),
    instance: instanceOf(vmId, socle),
    seed: changed.seed && seedText(changed.seed),
  });
  await domains.setMetadata(vmId, metadata, isActive(await domains.state(vmId)));
  return changed;
}

/** Waits until readers see both. */
export async function seenWithSeeds(context: WorkContext, { spec, seed }: Seeded): Promise<void> {
  const stored = seed === undefined || seedText(seed) === undefined ? undefined : seed;
  await seen(
    context,
    spec.id,
    (vm) => isDeepStrictEqual(vm?.spec, spec) && isDeepStrictEqual(vm?.seed, stored),
  );
}

/**
 * Deletes the seeds that neither the next start nor a running guest uses, then the notes of them. A saved state needs its
 * own. Returns the rest.
 */
export async function removeOldSeeds(context: WorkContext, vmId: string): Promise<Seeded> {
  const { domains, volumes } = context;
  const { spec, seed } = await readSpec(context, vmId);
  if (seed === undefined || seed.others.length === 0) return { spec, seed };
  const isOff = !isActive(await domains.state(vmId));
  if (isOff && (await domains.savedStates.exists(vmId))) return { spec, seed };
  const inUse = await domains.layers.inUse(vmId);
  const gone = new Set<string>();
  for (const volume of seed.others) {
    const path = await volumes.pathOf({ pool: seed.pool, volume });
    if (path !== undefined && inUse.has(path)) continue;
    await volumes.remove({ pool: seed.pool, volume });
    gone.add(volume);
  }
  return await rewriteSeeds(context, vmId, (now) => ({
    spec: now.spec,
    seed: now.seed && { ...now.seed, others: now.seed.others.filter((each) => !gone.has(each)) },
  }));
}

/** As `removeOldSeeds`, after a start: a failure is only logged, and the next start repeats it. */
export async function endSeedsAfterStart(context: RunContext, vmId: string): Promise<void> {
  if ((context.table.get(vmId)?.seed?.others.length ?? 0) === 0) return;
  await removeOldSeeds(context, vmId).catch((thrown: unknown) =>
    context.log.warn({ vm: vmId, err: toSocleError(thrown) }, "an old cloud-init seed could not be deleted"),
  );
}
