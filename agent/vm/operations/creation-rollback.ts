import { SocleError, toSocleError } from "../../kernel/errors.ts";
import { isActive } from "../hypervisor/domains.ts";
import { keyedParts } from "../model/sealed-keys.ts";
import type { DiskSpec, VmSpec } from "../model/spec.ts";
import { ownDisks, ownVolumes } from "../model/volume-names.ts";
import { volumeKey } from "../storage/volume-users.ts";
import type { WorkContext, WorkRun } from "./work.ts";

// What a creation made is removed when the creation fails.

/** For this long, a refusal of libvirt's to remove something is tried again. */
const INSIST_FOR_MS = 60_000;
const INSIST_EVERY_MS = 1000;

export const KEYS = "keys";
export const DEFINE = "define";

/** What an operation makes under its VM's names, by the step that makes it. */
export interface Made {
  /** Its domain is there, by an earlier run: then so are its volumes, and it may have run on them since. */
  readonly isDefined: boolean;
  readonly instance: string;
  /** The steps whose effect may be there. Nothing else is taken back. */
  readonly made: Set<string>;
}

type Removal = (context: WorkContext) => Promise<void>;

/**
 * How each step's effect is removed, in the order of the steps; done also where there is none. What belongs to another
 * instance of the VM stays.
 */
export function removals(
  spec: VmSpec,
  { resumed }: Pick<WorkRun, "resumed">,
  instance: string,
): ReadonlyMap<string, Removal> {
  const { id } = spec;
  const unlessAnothers =
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
      unlessAnothers(async ({ keys }) => {
        for (const part of parts) await keys.forget(id, part);
      }),
    );
  for (const { disk: name, volume } of ownDisks(spec))
    all.set(
      diskStep({ name }),
      unlessAnothers(async ({ volumes }) => {
        await volumes.remove(volume);
      }),
    );
  return all.set(
    DEFINE,
    unlessAnothers(({ domains }) => removeDomain(domains, { id, instance }, resumed)),
  );
}

/**
 * Once undefined it cannot be started any more; one that came to run all the same goes with its end. What an agent asked
 * for before it died may still be coming: `mayCome`.
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
 * Takes back what was made, the last first, and gives the error that the creation fails with. While libvirt cannot be
 * asked it goes on trying: half a VM is not an end. What libvirt refuses to remove for a minute stays, and is named. Nothing
 * is removed where the guest may have run, or still runs, and another client undefined its domain.
 */
export async function takeBack(
  context: WorkContext,
  spec: VmSpec,
  run: WorkRun,
  { made, instance, isDefined }: Made,
  cause: SocleError,
): Promise<SocleError> {
  const deadlineMs = context.clock.monotonicMs() + INSIST_FOR_MS;
  const mayHaveRun = isDefined || cause.reason === "EFFECT_NOT_OBSERVED";
  if (mayHaveRun && (await isUndefined(context, run, deadlineMs)))
    return because(cause, `another client undefined it, and its guest may have run${disksLeft(spec)}`);
  const leftovers: string[] = [];
  for (const [name, remove] of [...removals(spec, run, instance)].reverse()) {
    if (!made.has(name)) continue;
    const undo = (): Promise<void> => run.step.undo(name, () => remove(context));
    const left = await insist(context, spec.id, deadlineMs, undo);
    leftovers.push(...left);
    // Its guest may run on the disks.
    if (mayHaveRun && left.length > 0) break;
  }
  if (leftovers.length === 0) return cause;
  return because(cause, `what was made for it could not be removed: ${leftovers.join("; ")}`);
}

const because = (cause: SocleError, more: string): SocleError =>
  new SocleError(cause.kind, cause.reason, `${cause.message}; ${more}`, { cause, details: cause.details });

/** For a message: the VM's own disks, and how to delete them. */
export function disksLeft(spec: VmSpec): string {
  const disks = ownVolumes(spec).map(volumeKey).join(", ");
  return disks === "" ? "" : `; its disks were not deleted: ${disks} (virsh vol-delete NAME --pool POOL)`;
}

/** Whether another client undefined the domain. Also true where libvirt refuses to say past the deadline. */
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
      await clock.sleep(INSIST_EVERY_MS);
    }
  }
}

const isAway = ({ kind }: SocleError): boolean =>
  ["unavailable", "timeout", "outcome_unknown"].includes(kind);

/** Tries until it is done, or libvirt refuses past the deadline; returns why it is not done. */
async function insist(
  { log, clock }: Pick<WorkContext, "log" | "clock">,
  vmId: string,
  deadlineMs: number,
  work: () => Promise<void>,
): Promise<string[]> {
  let logged = "";
  for (;;) {
    const error = await work().then(
      () => undefined,
      (thrown: unknown) => toSocleError(thrown),
    );
    if (error === undefined) return [];
    if (error.reason === "AGENT_STOPPING" || error.reason === "OPERATION_SUPERSEDED") throw error;
    if (error.message !== logged)
      log.warn({ vm: vmId, err: error }, "what a failed create made could not be removed yet");
    logged = error.message;
    if (!isAway(error) && clock.monotonicMs() >= deadlineMs) return [error.message];
    await clock.sleep(INSIST_EVERY_MS);
  }
}
