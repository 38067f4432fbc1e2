import { SocleError, toSocleError } from "../kernel/errors.ts";
import { isActive } from "./domains.ts";
import { keyedParts } from "./guest-keys.ts";
import type { DiskSpec, VmSpec } from "./spec.ts";
import { volumeName } from "./volume-names.ts";
import type { WorkContext, WorkRun } from "./work.ts";

// What a creation made is removed when the creation fails.

/** How long libvirt's refusals to remove what was made are taken for passing ones. */
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
  const { id, disks } = spec;
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
  for (const { name, source } of disks) {
    if (source.kind !== "new") continue;
    const volume = { pool: source.pool, volume: volumeName(id, name, source.format) };
    all.set(
      diskStep({ name }),
      unlessAnothers(async ({ volumes }) => {
        await volumes.remove(volume);
      }),
    );
  }
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
 * asked it goes on trying: half a VM is not an end. What libvirt refuses to remove for a minute stays, and is named; so do
 * disks on which a guest may have run whose domain another client removed, and their keys.
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
  const isRemoved = mayHaveRun && (await isGone(context, run));
  const kept: string[] = [];
  const leftovers: string[] = [];
  for (const [name, remove] of [...removals(spec, run, instance)].reverse()) {
    if (!made.has(name)) continue;
    const undo = (): Promise<void> => run.step.undo(name, () => remove(context));
    if (isRemoved && name !== DEFINE) kept.push(name);
    else leftovers.push(...(await insist(context, spec.id, deadlineMs, undo)));
  }
  if (kept.length + leftovers.length === 0) return cause;
  const because =
    kept.length === 0
      ? ""
      : `; another client removed the domain, on whose disks its guest may have run: kept are ${kept.join(", ")}`;
  const left =
    leftovers.length === 0 ? "" : `; what was made for it could not be removed: ${leftovers.join("; ")}`;
  const message = `${cause.message}${because}${left}`;
  return new SocleError(cause.kind, cause.reason, message, { cause, details: cause.details });
}

/** Asks libvirt until it answers. */
async function isGone({ domains, clock }: WorkContext, { vmId, step }: WorkRun): Promise<boolean> {
  for (;;) {
    step.requireOpen();
    try {
      return (await domains.state(vmId)) === undefined;
    } catch {
      await clock.sleep(INSIST_EVERY_MS);
    }
  }
}

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
    const isAway = ["unavailable", "timeout", "outcome_unknown"].includes(error.kind);
    if (error.message !== logged)
      log.warn({ vm: vmId, err: error }, "what a failed create made could not be removed yet");
    logged = error.message;
    if (!isAway && clock.monotonicMs() >= deadlineMs) return [error.message];
    await clock.sleep(INSIST_EVERY_MS);
  }
}
