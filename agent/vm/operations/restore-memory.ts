import { join } from "node:path";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import type { VmSpec } from "../../contract/spec.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import { memoryTransfer } from "../hypervisor/saved-states.ts";
import { culpritOf } from "../hypervisor/start-fault.ts";
import { diskAlias } from "../model/device-names.ts";
import { guestDifferences } from "../model/guest-differences.ts";
import type { Snapshot, Snapshots } from "../model/snapshots.ts";
import { freezeMark } from "../model/vm-domain.ts";
import { requireDisksFree } from "../storage/volume-users.ts";
import { isIdle } from "./end-qemu.ts";
import { pathless, requireKeepable, told } from "./snapshot-memory.ts";
import { checkVolumes } from "./start.ts";
import { outcomeUnknown, type RunContext, type WorkContext, type WorkRun } from "./work.ts";

/** Durable before libvirt is asked: a guest must not continue a second time over disks that it has written to. */
const ASKED = "note that it continues";

type WithMemory = Snapshot & { readonly memory: NonNullable<Snapshot["memory"]> };

/**
 * Before anything is touched. Throws `conflict` SNAPSHOT_MEMORY_LOST, SNAPSHOT_VM_DIFFERS, as
 * `requireKeepable`, and `unavailable` SNAPSHOT_MEMORY_UNREACHABLE.
 */
export async function requireRestorable(
  context: WorkContext,
  spec: VmSpec,
  snapshot: WithMemory,
): Promise<void> {
  const { domains } = context;
  const { name, memory, volumes } = snapshot;
  requireKeepable({ name: spec.name, spec });
  const whole = await told(context, memory, (directory) => directory.whole(memory.file));
  if (whole?.sizeBytes !== memory.bytes)
    throw lost(name, whole === undefined ? "is gone" : "has another size");
  const saved = await domains.memorySnapshots.savedXml(whole.path).catch((thrown: unknown) => {
    throw pathless(thrown, memory);
  });
  if (saved === undefined) throw lost(name, "is not one that libvirt loads");
  const layered = new Set(Object.keys(volumes).map(diskAlias));
  const differences = guestDifferences(saved, await domains.definition(spec.id), (alias) =>
    layered.has(alias),
  );
  if (differences.length > 0) throw differs(spec.name, name, differences);
}

/**
 * Lets the guest of a VM that is off continue from the memory, once; the disks are those of the snapshot. Throws what
 * `Domains.start` throws, and `conflict` SNAPSHOT_MEMORY_NOT_RESTORED if the guest may have run since.
 */
export async function restoreMemory(
  context: RunContext,
  run: WorkRun,
  {
    spec,
    snapshot,
    snapshots,
  }: { readonly spec: VmSpec; readonly snapshot: WithMemory; readonly snapshots: Snapshots },
): Promise<void> {
  const { domains, table, volumes } = context;
  const { id } = spec;
  const { memory } = snapshot;
  const path = join(memory.directory, memory.file);
  const isOn = isActive(await domains.state(id));
  if (!run.done.has(ASKED)) {
    if (isOn) throw notRestored("another client started the VM meanwhile");
    const vm = table.get(id);
    if (vm !== undefined) await requireDisksFree(vm, table.all().filter(isActive), volumes.names);
    await checkVolumes(context, spec, snapshots);
    const xml = await domains.definition(id);
    await run.step.durable(ASKED, () => Promise.resolve(), 0);
    const settings = { memory: { path, xml }, ...memoryTransfer(memory.bytes) };
    await domains.start(id, culpritOf(spec), settings).catch(async (thrown: unknown) => {
      const error = pathless(thrown, memory);
      // Else libvirt has loaded it, and failed to resume it.
      if (error.kind === "outcome_unknown" || !isActive(await domains.state(id))) throw error;
    });
  } else if (!isOn) throw notRestored("the guest may have run since, and written to its disks");
  // It continues: what is left is done by the next run, if not by this one.
  await release(context, spec, path).catch((thrown: unknown) => {
    throw outcomeUnknown(toSocleError(thrown));
  });
}

/** The guest may have been frozen at the moment of the snapshot, and libvirt may have failed to resume it. */
async function release({ domains }: WorkContext, spec: VmSpec, path: string): Promise<void> {
  const { id, tenant, guestAgent } = spec;
  if (isIdle(await domains.state(id))) await domains.resume(id);
  if (!guestAgent) return;
  const saved = await domains.memorySnapshots.savedXml(path).catch(() => undefined);
  await domains.freezes.thawRestored({ id, tenant }, saved?.includes(freezeMark.uri) ?? true);
}

export const hasMemory = (snapshot: Snapshot | undefined): snapshot is WithMemory =>
  snapshot?.memory !== undefined;

const lost = (snapshot: string, what: string): SocleError => {
  const message = `the memory of snapshot ${snapshot} ${what}: revert to its disks alone (discard_memory, --discard-memory)`;
  return new SocleError("conflict", "SNAPSHOT_MEMORY_LOST", message, {
    details: { fields: { snapshot: message } },
  });
};

const differs = (vm: string, snapshot: string, parts: readonly string[]): SocleError => {
  const message = `VM ${vm} has changed since snapshot ${snapshot}, whose memory expects the machine of then: ${parts.join(", ")}. Change that back, or revert to the disks alone (discard_memory, --discard-memory)`;
  return new SocleError("conflict", "SNAPSHOT_VM_DIFFERS", message, {
    details: { fields: { snapshot: message }, metadata: { differences: parts.join(",") } },
  });
};

const notRestored = (why: string): SocleError =>
  new SocleError("conflict", "SNAPSHOT_MEMORY_NOT_RESTORED", `its memory was not restored: ${why}`);
