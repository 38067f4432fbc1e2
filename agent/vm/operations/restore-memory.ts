import { join } from "node:path";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import type { VmSpec } from "../../contract/spec.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import { memoryTransfer } from "../hypervisor/saved-states.ts";
import type { Overlay } from "../hypervisor/switch-xml.ts";
import { culpritOf } from "../hypervisor/start-fault.ts";
import { diskAlias } from "../model/device-names.ts";
import { guestDifferences, restoredXml } from "../model/guest-differences.ts";
import type { Snapshot, Snapshots } from "../model/snapshots.ts";
import { freezeMark } from "../model/vm-domain.ts";
import { requireDisksFree } from "../storage/volume-users.ts";
import { isIdle } from "./end-qemu.ts";
import { dropCheckpoints } from "./backup-end.ts";
import { keepInDoubt, looseOf, withLoose, type Layer } from "./layers.ts";
import { rewriteSnapshots } from "./spec-change.ts";
import { DISCARD, pathless, requireKeepableNow, told, unreachable } from "./snapshot-memory.ts";
import { checkVolumes } from "./start.ts";
import { outcomeUnknown, type RunContext, type WorkContext, type WorkRun } from "./work.ts";

/** Durable before libvirt is asked: a guest must not continue a second time over disks that it has written to. */
const ASKED = "note that it continues";
/** What came of that, durable before the definition names the layers: from then on the layers in use do not show it. */
const CONTINUES = "note that it continued";
const ENDED = "note that it does not continue";

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
  await requireKeepableNow(context, spec, DISCARD);
  const whole = await told(context, memory, (directory) => directory.whole(memory.file));
  if (whole?.sizeBytes !== memory.bytes)
    throw lost(name, whole === undefined ? "is gone" : "has another size");
  const saved = await savedXml(context, snapshot, whole.path);
  const layered = new Set(Object.keys(volumes).map(diskAlias));
  const present = await domains.definition(spec.id);
  const differences = guestDifferences(saved, present, (alias) => layered.has(alias));
  if (differences.length > 0) throw differs(spec.name, name, differences);
  // It can be written with other files.
  restoredXml(saved, present, new Map([...layered].map((alias) => [alias, whole.path])));
}

async function savedXml(
  { domains, log }: WorkContext,
  { name, memory }: WithMemory,
  path: string,
): Promise<string> {
  const saved = await domains.memorySnapshots.savedXml(path).catch((thrown: unknown) => {
    log.warn({ path, err: thrown }, "a snapshot's memory cannot be looked at");
    throw unreachable(pathless(thrown, memory));
  });
  if (saved === undefined) throw lost(name, "is not one that libvirt loads");
  return saved;
}

interface Restoring {
  readonly spec: VmSpec;
  readonly snapshot: WithMemory;
  readonly snapshots: Snapshots;
  readonly layers: readonly Layer[];
  /** The files of the layers, which no definition has named yet: a guest that uses them continues from the memory. */
  readonly overlays: readonly Overlay[];
  /** Has the names of the steps that may have had effects. */
  readonly effects: Set<string>;
}

/** Whether libvirt may have been asked: a guest may have written to the layers. */
export const mayHaveContinued = ({ done }: Pick<WorkRun, "done">, effects: ReadonlySet<string>): boolean =>
  done.has(ASKED) || effects.has(ASKED);

/** Whether an earlier run saw that the guest continued. */
export const hasContinued = ({ done }: Pick<WorkRun, "done">): boolean => done.has(CONTINUES);

/**
 * Lets the guest of a VM that is off continue from the memory, once, with the layers as its disks. The definition names the old
 * ones until it is decided, so that another client that starts the VM boots from those, and a refusal changes nothing. Then the
 * definition names the layers. Returns false if the guest may have run, and does not any more. Throws libvirt's refusals, and
 * `conflict` SNAPSHOT_MEMORY_NOT_RESTORED if another client has started the VM.
 */
export async function restoreMemory(context: RunContext, run: WorkRun, asked: Restoring): Promise<boolean> {
  const { domains } = context;
  const { spec, snapshot, overlays } = asked;
  const { id } = spec;
  const isDecided = hasContinued(run) || run.done.has(ENDED);
  const continues = isDecided ? hasContinued(run) : await decide(context, run, asked);
  if (!isDecided) await run.step.durable(continues ? CONTINUES : ENDED, () => Promise.resolve(), 0);
  if ((await standing(context, asked)) === "runs") throw startedByOther();
  await dropCheckpoints(context, id);
  await domains.redefineFiles(id, filesOf(overlays));
  // What is left is done by the next run, if not by this one.
  if (continues)
    await release(context, spec, join(snapshot.memory.directory, snapshot.memory.file)).catch(asUnknown);
  return continues;
}

/** "runs": with other disks. */
async function standing(
  { domains }: WorkContext,
  { spec: { id }, overlays }: Restoring,
): Promise<"continues" | "booted" | "runs" | "off"> {
  const now = await domains.state(id);
  if (now === undefined || !isActive(now)) return "off";
  if (!(await domains.layers.isSwitched(id, overlays))) return "runs";
  return now.stateReason === "BOOTED" ? "booted" : "continues";
}

async function decide(context: RunContext, run: WorkRun, asked: Restoring): Promise<boolean> {
  let now = await standing(context, asked);
  if (now === "off" && !mayHaveContinued(run, asked.effects)) {
    await start(context, run, asked);
    // A VM that another client has started meanwhile counts as started.
    now = await standing(context, asked).catch(asUnknown);
  }
  if (now === "runs") throw startedByOther();
  return now === "continues";
}

async function start(context: RunContext, run: WorkRun, asked: Restoring): Promise<void> {
  const { domains, table, volumes } = context;
  const { spec, snapshot, snapshots, layers, overlays, effects } = asked;
  const { id } = spec;
  const { memory } = snapshot;
  const path = join(memory.directory, memory.file);
  const vm = table.get(id);
  if (vm !== undefined) await requireDisksFree(vm, table.all().filter(isActive), volumes.names);
  await checkVolumes(context, spec, snapshots);
  // A guest whose CPU, or balloon, the definition leaves to libvirt continues with those that it had.
  const saved = await savedXml(context, snapshot, path);
  const xml = restoredXml(saved, await domains.definition(id), filesOf(overlays));
  const isCrashed = async (): Promise<boolean> => (await domains.state(id))?.stateReason === "CRASHED";
  const crashed = await isCrashed();
  // Others keep the layers from now on, also once a person has settled the operation.
  await run.step.durable(ASKED, () => keepInDoubt(context, id, layers), 0);
  effects.add(ASKED);
  try {
    const settings = { memory: { path, xml }, ...memoryTransfer(memory.bytes) };
    await domains.start(id, culpritOf(spec), settings);
  } catch (thrown) {
    const error = pathless(thrown, memory);
    const now = await standing(context, asked).catch(asUnknown);
    // libvirt may have loaded it, and failed to resume it.
    if (now === "continues" || now === "booted") return;
    // QEMU may have resumed it, and then crashed.
    const hasCrashed = error.kind === "internal" && !crashed && (await isCrashed().catch(asUnknown));
    if (!isCertain(error) || hasCrashed) {
      if (now === "runs") return;
      throw outcomeUnknown(error);
    }
    const free = async (): Promise<void> => {
      await rewriteSnapshots(context, id, (noted) => withLoose(noted, looseOf(layers)));
    };
    await run.step.undoDurably(ASKED, free).catch(asUnknown);
    effects.delete(ASKED);
    if (now === "runs") throw startedByOther();
    throw REFUSALS.has(error.kind) ? refused(error) : error;
  }
}

/** libvirt has answered, or was not asked. */
const isCertain = ({ kind, reason }: SocleError): boolean =>
  kind !== "outcome_unknown" && reason !== "EFFECT_NOT_OBSERVED";

const REFUSALS: ReadonlySet<SocleError["kind"]> = new Set(["conflict", "internal", "invalid", "unsupported"]);

const refused = (cause: SocleError): SocleError =>
  new SocleError(
    "conflict",
    "SNAPSHOT_MEMORY_NOT_RESTORED",
    `libvirt did not restore the memory: ${cause.message}. The VM keeps its present disks: ${DISCARD}`,
    { cause },
  );

const filesOf = (overlays: readonly Overlay[]): ReadonlyMap<string, string> =>
  new Map(overlays.map(({ disk, path }) => [diskAlias(disk), path]));

function asUnknown(thrown: unknown): never {
  throw outcomeUnknown(toSocleError(thrown));
}

/** The guest may have been frozen at the moment of the snapshot, and libvirt may have failed to resume it. It may have ended since. */
async function release(context: WorkContext, spec: VmSpec, path: string): Promise<void> {
  const isOn = async (): Promise<boolean> => isActive(await context.domains.state(spec.id));
  if (!(await isOn())) return;
  await resumeAndThaw(context, spec, path).catch(async (thrown: unknown) => {
    if (await isOn()) throw thrown;
  });
}

async function resumeAndThaw({ domains }: WorkContext, spec: VmSpec, path: string): Promise<void> {
  const { id, tenant, guestAgent } = spec;
  const now = await domains.state(id);
  // One that a person has paused since stays paused.
  if (isIdle(now) && now?.stateReason !== "USER") await domains.resume(id);
  if (!guestAgent) return;
  const saved = await domains.memorySnapshots.savedXml(path).catch(() => undefined);
  await domains.freezes.thawRestored({ id, tenant }, saved?.includes(freezeMark.uri) ?? true);
}

export const hasMemory = (snapshot: Snapshot | undefined): snapshot is WithMemory =>
  snapshot?.memory !== undefined;

const lost = (snapshot: string, what: string): SocleError => {
  const message = `the memory of snapshot ${snapshot} ${what}: ${DISCARD}`;
  return new SocleError("conflict", "SNAPSHOT_MEMORY_LOST", message, {
    details: { fields: { snapshot: message } },
  });
};

const differs = (vm: string, snapshot: string, parts: readonly string[]): SocleError => {
  const message = `VM ${vm} has changed since snapshot ${snapshot}, whose memory expects the machine of then: ${parts.join(", ")}. Change that back, or ${DISCARD}`;
  return new SocleError("conflict", "SNAPSHOT_VM_DIFFERS", message, {
    details: { fields: { snapshot: message }, metadata: { differences: parts.join(",") } },
  });
};

const startedByOther = (): SocleError =>
  new SocleError(
    "conflict",
    "SNAPSHOT_MEMORY_NOT_RESTORED",
    "another client started the VM meanwhile, with the disks that it had: revert again",
  );

export const hasRun = (): SocleError =>
  new SocleError(
    "conflict",
    "SNAPSHOT_MEMORY_NOT_RESTORED",
    "its memory was not restored a second time, since the guest may have run since, and written to its disks",
  );
