import { SocleError, toSocleError } from "../kernel/errors.ts";
import { unbound } from "../state/placement.ts";
import { domainDocument, specDigest } from "./domain-document.ts";
import { isActive } from "./domains.ts";
import { diskPart, keyedParts, secretUuid, type SealedKeys } from "./guest-keys.ts";
import type { VmState } from "./vm.ts";
import type { DiskSpec, VmSpec } from "./spec.ts";
import { restoreKeys } from "./power-works.ts";
import type { ResolvedVolume } from "./volumes.ts";
import { volumeName } from "./volume-names.ts";
import { isUndecided, seen, SEEN_WITHIN_MS } from "./work.ts";
import type { IntentOf, Work, WorkContext, WorkRun } from "./work.ts";

/** How long libvirt's refusals to remove what was made are taken for passing ones. */
const INSIST_FOR_MS = 60_000;
const INSIST_EVERY_MS = 1000;

type Undo = () => Promise<void>;

interface Resolved {
  /** Its domain is there, by an earlier run of the same operation. */
  readonly isDefined: boolean;
  readonly kernelPath?: string;
  readonly initrdPath?: string;
}

/** Volumes, then the domain, then its start. What fails for certain is taken back whole: nothing is left half-made. */
export const createWork: Work<"CREATE_VM"> = async (context, intent, run) => {
  const { table } = context;
  const { spec } = intent;
  const { step } = run;
  const undo: Undo[] = [];
  try {
    const boot = await step("resolve", () => resolve(context, spec, run));
    await define(context, intent, run, boot, undo);
    const state = intent.leaveStopped ? "stopped" : await step("start", () => start(context, spec, run), 0.5);
    await seen(table.until(spec.id, (vm) => vm?.state === state, AbortSignal.timeout(SEEN_WITHIN_MS)));
    return { state, accelerator: intent.accelerator };
  } catch (thrown) {
    const error = toSocleError(thrown);
    // While it is not known what happened, nothing is taken back: the operation is settled by observation.
    if (isUndecided(error, run)) throw error;
    throw await takeBack(context, spec, undo, error);
  }
};

/** Its volumes and then its domain: where that is there already, so are they, and it may have run on them since. */
async function define(
  context: WorkContext,
  intent: IntentOf<"CREATE_VM">,
  run: WorkRun,
  { isDefined, ...boot }: Resolved,
  undo: Undo[],
): Promise<void> {
  const { domains, architecture, memoryHeadroomBytes } = context;
  const { spec, createdAtMs, accelerator, placement = unbound, placementEpoch } = intent;
  const { step, signal } = run;
  const disks: ResolvedVolume[] = [];
  const parts = keyedParts(spec);
  for (const part of parts) undo.push(() => context.keys.forget(spec.id, part));
  // Only once it stands in the domain is a passphrase kept: until then each run makes new ones, and volumes to them.
  const keys =
    isDefined || parts.length === 0 ? undefined : await step("keys", () => makeKeys(context, spec.id, parts));
  for (const disk of spec.disks) {
    if (isDefined && disk.source.kind === "new") undo.push(() => removeDisk(context, spec, disk, run));
    else disks.push(await makeDisk(context, spec, disk, run, undo));
  }
  signal.throwIfAborted();
  undo.push(() => step.undo("define", () => removeDomain(context, spec.id)));
  const made = {
    spec,
    accelerator,
    architecture,
    placement,
    placementEpoch,
    createdAtMs,
    disks,
    ...boot,
    ...(keys === undefined ? {} : { keys }),
    ...(memoryHeadroomBytes === undefined ? {} : { memoryHeadroomBytes }),
  };
  await step(
    "define",
    async () => {
      if (!isDefined) await domains.define(domainDocument(made));
      if (spec.autostart) await domains.setAutostart(spec.id, true);
    },
    0.2,
  );
}

async function makeKeys({ keys }: WorkContext, vmId: string, parts: readonly string[]): Promise<SealedKeys> {
  const made: Record<string, string> = {};
  for (const part of parts) made[part] = await keys.make(vmId, part);
  return made;
}

/** Starts it once in its life: one that ran before the operation was interrupted, and stopped since, stays stopped. */
async function start(context: WorkContext, spec: VmSpec, { resumed, done }: WorkRun): Promise<VmState> {
  const { domains } = context;
  const { id } = spec;
  const before = resumed ? await stateIfRun(domains, id, done.has("start")) : undefined;
  if (before !== undefined) return before;
  if (resumed) await restoreKeys(context, spec);
  await domains.start(id);
  return "running";
}

/**
 * Its state if it was started before. libvirt says why a VM is off that ran, or that its start failed, but forgets that
 * when it is restarted itself; then only our own record tells, where it was written in time.
 */
async function stateIfRun(
  domains: WorkContext["domains"],
  id: string,
  isOnRecord: boolean,
): Promise<VmState | undefined> {
  const settled = await domains.settledState(id);
  if (settled === undefined) return undefined;
  const hasRun = isOnRecord || isActive(settled) || !["UNKNOWN", "FAILED"].includes(settled.stateReason);
  return hasRun ? settled.state : undefined;
}

/** Once undefined it cannot be started any more; one that came to run all the same goes with its end. */
async function removeDomain({ domains }: WorkContext, id: string): Promise<void> {
  await domains.undefine(id);
  if (isActive(await domains.state(id))) await domains.destroy(id);
}

async function resolve(
  { volumes, domains }: WorkContext,
  spec: VmSpec,
  { resumed }: WorkRun,
): Promise<Resolved> {
  const existing = await domains.document(spec.id);
  // Only what an earlier run of this very operation defined is taken for its own.
  const isOurs = resumed && existing?.metadata?.socle?.specDigest === specDigest(spec);
  if (existing !== undefined && !isOurs) {
    throw new SocleError(
      "already_exists",
      "VM_EXISTS",
      `there is a domain ${spec.id} already that is not this VM`,
    );
  }
  const { kernelBoot } = spec;
  const isDefined = existing !== undefined;
  if (kernelBoot === undefined || isDefined) return { isDefined };
  const kernel = await volumes.resolve(kernelBoot.kernel);
  const initrd = kernelBoot.initrd === undefined ? undefined : await volumes.resolve(kernelBoot.initrd);
  return { isDefined, kernelPath: kernel.path, ...(initrd === undefined ? {} : { initrdPath: initrd.path }) };
}

async function makeDisk(
  context: WorkContext,
  spec: VmSpec,
  disk: DiskSpec,
  run: WorkRun,
  undo: Undo[],
): Promise<ResolvedVolume> {
  const { source } = disk;
  if (source.kind === "volume") return await context.volumes.resolve(source.volume);
  undo.push(() => removeDisk(context, spec, disk, run));
  return await run.step(diskStep(disk), () =>
    context.volumes.make({
      pool: source.pool,
      name: volumeName(spec.id, disk.name, source.format),
      format: source.format,
      ...(source.capacityBytes === undefined ? {} : { capacityBytes: source.capacityBytes }),
      ...(source.baseVolume === undefined ? {} : { base: source.baseVolume }),
      ...(source.encryption === undefined ? {} : { secretUuid: secretUuid(spec.id, diskPart(disk.name)) }),
    }),
  );
}

async function removeDisk(
  { volumes }: WorkContext,
  spec: VmSpec,
  disk: DiskSpec,
  { step }: WorkRun,
): Promise<void> {
  const { source } = disk;
  if (source.kind !== "new") return;
  const volume = volumeName(spec.id, disk.name, source.format);
  await step.undo(diskStep(disk), () => volumes.remove({ pool: source.pool, volume }));
}

const diskStep = ({ name }: DiskSpec): string => `volume ${name}`;

/**
 * Takes back what was made, the last first, and gives the error that the creation fails with. While libvirt cannot be
 * asked it goes on trying: half a VM is not an end. What libvirt refuses to remove for a minute stays, and is named.
 */
async function takeBack(
  { log, clock }: WorkContext,
  spec: VmSpec,
  undo: readonly Undo[],
  cause: SocleError,
): Promise<SocleError> {
  const leftovers: string[] = [];
  const deadlineMs = clock.monotonicMs() + INSIST_FOR_MS;
  for (const take of [...undo].reverse()) {
    for (;;) {
      const error = await take().then(
        () => undefined,
        (thrown: unknown) => toSocleError(thrown),
      );
      if (error === undefined) break;
      if (error.reason === "AGENT_STOPPING") throw error;
      const isAway = ["unavailable", "timeout", "outcome_unknown"].includes(error.kind);
      log.warn({ vm: spec.id, err: error }, "what a failed create made could not be removed yet");
      if (!isAway && clock.monotonicMs() >= deadlineMs) {
        leftovers.push(error.message);
        break;
      }
      await clock.sleep(INSIST_EVERY_MS);
    }
  }
  if (leftovers.length === 0) return cause;
  const message = `${cause.message}; what was made for it could not be removed: ${leftovers.join("; ")}`;
  return new SocleError(cause.kind, cause.reason, message, { cause, details: cause.details });
}
