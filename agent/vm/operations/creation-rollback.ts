import { toSocleError, type SocleError } from "../../kernel/errors.ts";
import { isActive } from "../hypervisor/domains.ts";
import { keyedParts } from "../model/sealed-keys.ts";
import type { DiskSpec, VmSpec } from "../../contract/spec.ts";
import { ownDisks, ownVolumes, seedVolume } from "../model/volume-names.ts";
import { volumeKey } from "../storage/volume-users.ts";
import { because, isAway, RETRY_EVERY_MS, RETRY_FOR_MS, retryRemoval } from "./undo.ts";
import type { WorkContext, WorkRun } from "./work.ts";

// Rolls back a failed creation.

export const KEYS = "keys";
/** No disk's step: those begin with "volume ". */
export const SEED = "seed";
export const DEFINE = "define";

/** What a creation has made, by step. */
export interface Made {
  /** An earlier run defined the domain: its volumes exist, and it may have run since. */
  readonly isDefined: boolean;
  readonly instance: string;
  /** Steps that may have had an effect. Only these are rolled back. */
  readonly made: Set<string>;
}

type Removal = (context: WorkContext) => Promise<void>;

/**
 * The removal of each step's effect, in the order of the steps; each also succeeds without an effect. Parts of another
 * instance of the VM stay.
 */
export function removals(
  spec: VmSpec,
  { resumed }: Pick<WorkRun, "resumed">,
  instance: string,
): ReadonlyMap<string, Removal> {
  const { id } = spec;
  const unlessReplaced =
    (remove: Removal): Removal =>
    async (context) => {
      const origin = await context.domains.stamps.origin(id);
      if (origin === undefined || origin.instance === instance) await remove(context);
    };
  const parts = keyedParts(spec);
  const all = new Map<string, Removal>();
  if (parts.length > 0)
    all.set(
      KEYS,
      unlessReplaced(async ({ keys }) => {
        for (const part of parts) await keys.forget(id, part);
      }),
    );
  for (const { disk: name, volume } of ownDisks(spec))
    all.set(
      diskStep({ name }),
      unlessReplaced(async ({ volumes }) => {
        await volumes.remove(volume);
      }),
    );
  const seed = seedVolume(spec);
  if (seed !== undefined)
    all.set(
      SEED,
      unlessReplaced(async ({ volumes }) => {
        await volumes.remove(seed);
      }),
    );
  return all.set(
    DEFINE,
    unlessReplaced(({ domains }) => removeDomain(domains, { id, instance }, resumed)),
  );
}

/**
 * An undefined domain cannot be started any more; if it runs nevertheless, its end removes it. `mayCome`: calls of an
 * agent that has died may still take effect.
 */
async function removeDomain(
  domains: WorkContext["domains"],
  { id, instance }: { readonly id: string; readonly instance: string },
  mayCome: boolean,
): Promise<void> {
  const isThere = async (): Promise<boolean> => (await domains.stamps.origin(id))?.instance === instance;
  if (mayCome) await domains.settledState(id);
  await domains.undefine(id, isThere);
  if ((await isThere()) && isActive(await domains.state(id))) await domains.destroy(id);
}

export const diskStep = ({ name }: Pick<DiskSpec, "name">): string => `volume ${name}`;

/**
 * Rolls the creation back, last step first, and returns its error. Retries while libvirt does not answer: a partial VM
 * is no valid end. The error names what libvirt refuses to remove for a minute. Nothing is removed if another client
 * undefined the domain and the guest may have run.
 */
export async function rollBack(
  context: WorkContext,
  spec: VmSpec,
  run: WorkRun,
  { made, instance, isDefined }: Made,
  cause: SocleError,
): Promise<SocleError> {
  const deadlineMs = context.clock.monotonicMs() + RETRY_FOR_MS;
  const mayHaveRun = isDefined || cause.reason === "EFFECT_NOT_OBSERVED";
  if (mayHaveRun && (await isUndefined(context, run, deadlineMs)))
    return because(cause, `another client undefined it, and its guest may have run${disksLeft(spec)}`);
  const leftovers: string[] = [];
  for (const [name, remove] of [...removals(spec, run, instance)].reverse()) {
    if (!made.has(name)) continue;
    const undo = (): Promise<void> => run.step.undo(name, () => remove(context));
    const left = await retryRemoval(context, spec.id, deadlineMs, undo);
    leftovers.push(...left);
    // Its guest may run on the disks.
    if (mayHaveRun && left.length > 0) break;
  }
  if (leftovers.length === 0) return cause;
  return because(cause, `these of its parts could not be removed: ${leftovers.join("; ")}`);
}

/** For a message: the VM's own disks, and how to delete them. */
export function disksLeft(spec: VmSpec): string {
  const disks = ownVolumes(spec).map(volumeKey).join(", ");
  return disks === "" ? "" : `; its disks were not deleted: ${disks} (virsh vol-delete NAME --pool POOL)`;
}

/** Whether another client undefined the domain. Also true if libvirt refuses to answer past the deadline. */
async function isUndefined(
  { domains, clock }: WorkContext,
  { vmId, step }: WorkRun,
  deadlineMs: number,
): Promise<boolean> {
  for (;;) {
    step.requireOpen();
    try {
      return !(await domains.stamps.isDefined(vmId));
    } catch (thrown) {
      if (!isAway(toSocleError(thrown)) && clock.monotonicMs() >= deadlineMs) return true;
      await clock.sleep(RETRY_EVERY_MS);
    }
  }
}
