import { randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import * as protocol from "../../agent/libvirt/protocol/index.ts";
import { toSocleError } from "../../agent/kernel/errors.ts";
import { eventually } from "../support/wait.ts";
import type { SpareHost } from "./attack-spare-host.ts";
import type { Stage } from "./attack-stage.ts";
import type { Outcome, Theme } from "./attack-runner.ts";
import { mutation } from "./host.ts";

const VM = "target";

/** The libvirt call that has the effect of a change. */
const effects = {
  CREATE: protocol.domainDefineXmlFlags,
  START: protocol.domainCreateWithFlags,
  STOP: protocol.domainDestroyFlags,
  PAUSE: protocol.domainSuspend,
  RESUME: protocol.domainResume,
  DELETE: protocol.domainUndefineFlags,
} as const;

type PowerKind = "START" | "STOP" | "PAUSE" | "RESUME";

/** A change, the VM's state before it, and the later change that it must not revert. */
const reversed: readonly {
  readonly old: PowerKind;
  readonly before: readonly PowerKind[];
  readonly later: PowerKind;
  readonly state: string;
}[] = [
  { old: "STOP", before: [], later: "START", state: "running" },
  { old: "START", before: ["STOP"], later: "STOP", state: "shut off" },
  { old: "PAUSE", before: [], later: "RESUME", state: "running" },
  { old: "RESUME", before: ["PAUSE"], later: "PAUSE", state: "paused" },
];

/** The files below the state directory that are durable before a change is acknowledged. */
const syncedFirst = ["operations.journal", "audit/"] as const;

/**
 * Operations that repeat their effect on a later VM: after a crash that lost their end, from an older copy of the state
 * directory, or although the caller was refused. Effects are read with virsh and from /proc.
 */
export async function replays(stage: Stage): Promise<Theme> {
  const spare = await stage.spare();
  const attacks: readonly (readonly [what: string, attack: () => Promise<Outcome>])[] = [
    ["an interrupted stop with no later change goes on (control)", () => resumesAlone(spare)],
    ["an interrupted stop, after a start by hand", () => stopAfterManualStart(spare)],
    ["an interrupted deletion, after a new VM with its id", () => deletionAfterNewVm(spare)],
    [
      "a deletion whose end is not written yet, with a creation of its id",
      () => creationWhileUnsettled(spare),
    ],
    ...(["STOP", "DELETE", "CREATE"] as const).flatMap((kind) =>
      syncedFirst.map(
        (file) =>
          [
            `${kind}, refused because a sync of ${file} failed, after a restart`,
            () => refusedThenRestarted(spare, kind, file),
          ] as const,
      ),
    ),
    ...reversed.map(
      (each) =>
        [
          `${each.old} from an older state directory, after ${each.later}`,
          () => powerFromOlderState(spare, each),
        ] as const,
    ),
    ["DELETE from an older state directory, after a new VM with its id", () => deletionFromOlderState(spare)],
    ["CREATE from an older state directory, after STOP", () => creationFromOlderState(spare)],
    ["CREATE from an older state directory, after DELETE", () => creationAfterRemoval(spare, byDelete)],
    [
      "CREATE from an older state directory, after removal by hand",
      () => creationAfterRemoval(spare, byHand),
    ],
    [
      "an event cursor of a later agent epoch, after a rollback",
      () => cursorFromOlderState(spare, () => spare.restart()),
    ],
    [
      "an event cursor of the same agent epoch, after a rollback",
      () =>
        cursorFromOlderState(spare, (vm) =>
          spare.host.succeeds(mutation("DELETE", vm)).then(() => undefined),
        ),
    ],
  ];
  const tries = attacks.map(([what, attack]) => ({ what, attack: () => spare.during(attack) }));
  return { name: "replays", tries };
}

/** The effect happens; the agent is killed before it writes the end. */
async function interrupted(
  spare: SpareHost,
  kind: keyof typeof effects,
  vm: string,
): Promise<Operation__Output> {
  const { agent } = spare.host;
  return await spare.atNext(
    effects[kind],
    "reply",
    () => agent.kill(),
    () => spare.host.begin(mutation(kind, vm)),
  );
}

/** Copies the state while the operation runs and before its effect; then the operation ends. */
async function copiedDuring(
  spare: SpareHost,
  kind: keyof typeof effects,
  change: () => Promise<Operation__Output>,
): Promise<{ readonly copy: string; readonly operation: Operation__Output }> {
  let copy = "";
  const operation = await spare.atNext(
    effects[kind],
    "call",
    async () => {
      copy = await spare.copyState();
    },
    change,
  );
  await spare.succeeds(operation);
  return { copy, operation };
}

async function rolledBack(spare: SpareHost, copy: string): Promise<void> {
  await spare.host.agent.kill();
  await spare.putBack(copy);
  await spare.startAgain();
}

/** Proves that the other tries can fail: the agent does resume interrupted operations. */
async function resumesAlone(spare: SpareHost): Promise<Outcome> {
  const { vmId } = await spare.create(VM);
  const { agent } = spare.host;
  const stop = await spare.atNext(
    effects.STOP,
    "call",
    () => agent.kill(),
    () => spare.host.begin(mutation("STOP", vmId)),
  );
  await spare.startAgain();
  const end = await spare.endOf(stop);
  if ((await spare.host.witness.state(VM)) !== "shut off") throw new Error(spare.host.describe(end));
  return "inert";
}

async function stopAfterManualStart(spare: SpareHost): Promise<Outcome> {
  const { witness } = spare.host;
  const { vmId } = await spare.create(VM);
  const stop = await interrupted(spare, "STOP", vmId);
  await eventually(async () => (await witness.state(VM)) === "shut off", { what: "the effect" });
  await witness.virsh("start", VM);
  const process = await witness.process(vmId);
  await spare.startAgain();
  const end = await spare.endOf(stop);
  return (await spare.runs(vmId, process)) ? "refused" : { letThrough: spare.host.describe(end) };
}

/** The new VM has the same id, name and disk and another instance, as a VM that is created again. */
async function deletionAfterNewVm(spare: SpareHost): Promise<Outcome> {
  const { witness, libvirtd } = spare.host;
  const { vmId } = await spare.create(VM);
  const xml = await witness.virsh("dumpxml", VM, "--inactive");
  const disks = await witness.volumes();
  const deletion = await interrupted(spare, "DELETE", vmId);
  await eventually(async () => (await witness.state(VM)) === undefined, { what: "the effect" });
  const [, instance = ""] = /instance>([0-9a-f-]{36})</.exec(xml) ?? [];
  if (instance === "") throw new Error("the VM has no instance id");
  const path = join(libvirtd.directory, "again.xml");
  await writeFile(path, xml.replace(instance, randomUUID()));
  for (const disk of disks)
    if (!(await witness.volumes()).includes(disk))
      await witness.virsh("vol-create-as", "images", disk, "1MiB", "--format", "qcow2");
  await witness.virsh("define", path);
  await witness.virsh("start", VM);
  const process = await witness.process(vmId);
  await spare.startAgain();
  const end = await spare.endOf(deletion);
  if (!(await spare.runs(vmId, process))) return { letThrough: spare.host.describe(end) };
  const kept = await witness.volumes();
  return disks.every((disk) => kept.includes(disk)) ? "refused" : { letThrough: "its disk was deleted" };
}

async function creationWhileUnsettled(spare: SpareHost): Promise<Outcome> {
  const { host, disk } = spare;
  const vmId = randomUUID();
  await spare.create(VM, { vmId });
  const deletion = await spare.atNext(
    effects.DELETE,
    "reply",
    () => disk.setFault("EIO"),
    () => host.begin(mutation("DELETE", vmId)),
  );
  await eventually(async () => (await host.witness.state(VM)) === undefined, { what: "the effect" });
  const request = { requestId: randomUUID(), spec: spare.spec(VM, { vmId }) };
  const create = (): Promise<Operation__Output> =>
    host.client.ask(host.client.contract.vms.CreateVm, request);
  const refused = await spare.refusalOf(create);
  if (refused === undefined) return { letThrough: "a VM was created before the deletion had ended" };
  await disk.setFault("none");
  await spare.restart();
  await spare.succeeds(await eventually(create, { what: "the id to be free", timeoutMs: 60_000 }));
  const process = await host.witness.process(vmId);
  await spare.endOf(deletion);
  return (await spare.runs(vmId, process)) ? "refused" : { letThrough: "the new VM is gone" };
}

/** Bytes that were written before a failed sync must not be read back. */
async function refusedThenRestarted(
  spare: SpareHost,
  kind: "STOP" | "DELETE" | "CREATE",
  file: (typeof syncedFirst)[number],
): Promise<Outcome> {
  const { host, disk } = spare;
  const { vmId } = await spare.create(VM);
  const process = await host.witness.process(vmId);
  const before = [...(await host.witness.states()).keys(), ...(await host.witness.volumes())];
  const asked = mutation(kind, kind === "CREATE" ? `${VM}-refused` : vmId);
  await disk.failNext("sync_failed", file);
  const refused = await spare.refusalOf(() => host.begin(asked));
  await disk.setFault("none");
  if (refused === undefined) throw new Error("the change was not refused, so the try proves nothing");
  if (refused.kind === "outcome_unknown") throw new Error(`its outcome is unknown: ${refused.message}`);
  await spare.restart();
  const { operations } = host.client.contract;
  for (const { operationId } of (await host.client.ask(operations.ListOperations, { pageSize: 100 }))
    .operations)
    await host.ended({ operationId } as Operation__Output, 60_000);
  const after = [...(await host.witness.states()).keys(), ...(await host.witness.volumes())];
  if (after.join() !== before.join()) return { letThrough: `${before.join()} became ${after.join()}` };
  return (await spare.runs(vmId, process)) ? "refused" : { letThrough: "the VM was stopped" };
}

async function powerFromOlderState(
  spare: SpareHost,
  { old, before, later, state }: (typeof reversed)[number],
): Promise<Outcome> {
  const { host } = spare;
  const { vmId } = await spare.create(VM);
  for (const kind of before) await host.succeeds(mutation(kind, vmId));
  const { copy, operation } = await copiedDuring(spare, old, () => host.begin(mutation(old, vmId)));
  await host.succeeds(mutation(later, vmId));
  const process = await host.witness.process(vmId);
  await rolledBack(spare, copy);
  const end = await spare.endOf(operation);
  const now = await host.witness.state(VM);
  if (now !== state) return { letThrough: `the VM is ${now}: ${host.describe(end)}` };
  if (process !== undefined && !(await spare.runs(vmId, process)))
    return { letThrough: `the guest was started again: ${host.describe(end)}` };
  return "refused";
}

async function deletionFromOlderState(spare: SpareHost): Promise<Outcome> {
  const { host } = spare;
  const vmId = randomUUID();
  await spare.create(VM, { vmId });
  const { copy, operation } = await copiedDuring(spare, "DELETE", () => host.begin(mutation("DELETE", vmId)));
  await spare.create(VM, { vmId });
  const process = await host.witness.process(vmId);
  const disks = await host.witness.volumes();
  await rolledBack(spare, copy);
  const end = await spare.endOf(operation);
  if (!(await spare.runs(vmId, process))) return { letThrough: host.describe(end) };
  if ((await host.witness.volumes()).join() !== disks.join())
    return { letThrough: "the new VM's disk was deleted" };
  return "refused";
}

async function creationFromOlderState(spare: SpareHost): Promise<Outcome> {
  const { host } = spare;
  const create = (): Promise<Operation__Output> => host.begin(mutation("CREATE", VM));
  const { copy, operation } = await copiedDuring(spare, "START", create);
  await host.succeeds(mutation("STOP", operation.vmId));
  const starts = await host.witness.starts(VM);
  await rolledBack(spare, copy);
  const end = await spare.endOf(operation);
  return (await host.witness.starts(VM)) === starts && (await host.witness.state(VM)) === "shut off"
    ? "refused"
    : { letThrough: host.describe(end) };
}

const byDelete = async ({ host }: SpareHost, vmId: string): Promise<void> => {
  await host.succeeds(mutation("DELETE", vmId));
};

const byHand = (spare: SpareHost): Promise<void> => spare.removeByHand();

/** Neither domain metadata nor the agent epoch shows that the copy is older: the VM was deleted, and no agent started since. */
async function creationAfterRemoval(
  spare: SpareHost,
  remove: (spare: SpareHost, vmId: string) => Promise<void>,
): Promise<Outcome> {
  const { host } = spare;
  const create = (): Promise<Operation__Output> => host.begin(mutation("CREATE", VM));
  const { copy, operation } = await copiedDuring(spare, "CREATE", create);
  await remove(spare, operation.vmId);
  const starts = await host.witness.starts(VM);
  await rolledBack(spare, copy);
  const end = await spare.endOf(operation);
  const left = [...(await host.witness.states()).keys(), ...(await host.witness.volumes())];
  if (left.length > 0)
    return { letThrough: `${left.join(" and ")} were created again: ${host.describe(end)}` };
  if ((await host.witness.starts(VM)) !== starts) return { letThrough: "the deleted VM was started again" };
  const { reason = "" } = spare.failureOf(end) ?? {};
  return reason === "OPERATION_SUPERSEDED" ? "refused" : { letThrough: `its end is ${host.describe(end)}` };
}

/** Without the log's identity, the subscriber would miss the events between its cursor and the new numbers. */
async function cursorFromOlderState(
  spare: SpareHost,
  pass: (vmId: string) => Promise<void>,
): Promise<Outcome> {
  const { host } = spare;
  const { events } = host.client.contract;
  const definitionOf = async (vmId: string) => {
    for await (const event of host.client.watch(events.Subscribe, {})) {
      if (event.kind === "EVENT_KIND_VM_DEFINED" && event.vmId === vmId) return event;
    }
    throw new Error("the stream of events ended");
  };
  const copy = await spare.copyState();
  const { vmId } = await spare.create(VM);
  const { sequence, logId } = await definitionOf(vmId);
  await pass(vmId);
  await rolledBack(spare, copy);
  try {
    for await (const event of host.client.watch(
      events.Subscribe,
      { afterSequence: sequence, logId },
      { timeoutMs: 10_000 },
    ))
      return { letThrough: `events go on with ${event.sequence}` };
  } catch (thrown) {
    const { reason } = toSocleError(thrown);
    if (reason === "EVENT_LOG_REPLACED") return "refused";
    return { letThrough: `the subscriber gets ${reason}` };
  }
  return { letThrough: "the stream ended without an error" };
}
