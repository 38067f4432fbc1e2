import { randomUUID } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import type { Event__Output } from "../../agent/gen/socle/v1/Event.ts";
import { systemClock } from "../../agent/kernel/clock.ts";
import { silentLog } from "../../agent/kernel/log.ts";
import { Operations } from "../../agent/state/operations/operations.ts";
import { eventually } from "../support/wait.ts";
import type { Answer, Caller } from "./attack-calls.ts";
import { EVENTS_KEPT, FAILURES, type SpareHost } from "./attack-spare-host.ts";
import type { Stage } from "./attack-stage.ts";
import type { Outcome, Theme } from "./attack-runner.ts";
import { mutation } from "./host.ts";

/** Tenants whose own callers have their maximum of kept operations; the provider may have more. */
const GREEDY = ["greedy", "greedy-2", "greedy-3", "greedy-4", "greedy-5"];
const KEPT_EACH = 4000;
const MODEST = "modest";
const WATCHED = "watched";
/** The number of tenants; each requests one above its limit, and all together more than the total. */
const CONNECTIONS = 33;
const CONNECTING = 5;
const LISTS = 100;
/** The maximum cost of a list of one operation, relative to a read of it. A scan of all costs over 10 times as much. */
const MOST_TIMES_A_READ = 5;
const FLOOD = 600;
const AT_ONCE = 20;
/** The bytes of an audit entry and of a line of the agent's log. */
const LONGEST_LINE = 8192;
/** Entries besides those of failing changes: refusals of each kind, their sums, and checkpoints. */
const OTHER_ENTRIES = 300;
/** A caller without mutation rights is refused before the audit log records an admission. */
const NONE = { perSecond: 0, savedUp: 0 };
/** Two entries for each call: its admission and its end. */
const ENTRIES_OF_CALL = 2;

/** One caller or one guest that exhausts shared resources: kept operations, loop time, the audit log, the event log. */
export async function crowding(stage: Stage): Promise<Theme> {
  const spare = await stage.spare();
  let filling: Promise<void> | undefined;
  const filled = (): Promise<void> => (filling ??= fill(spare));
  const attacks: readonly (readonly [what: string, attack: () => Promise<Outcome>])[] = [
    ["a 1 MB VM name in each kind of call", () => longFields(spare)],
    ["a flood of failing changes", () => floodsAudit(spare, "scheduler/flood", FAILURES)],
    ["a flood of refused changes", () => floodsAudit(spare, "viewer/flood", NONE)],
    ["a guest that resets without pause", () => floodsEvents(spare)],
    ["a tenant that fills its kept operations", () => filled().then(() => admitsOthers(spare))],
    ["tenants that together hold every connection of tenants", () => admitsAnotherTenant(spare)],
    ["a viewer's lists beside thousands of kept operations", () => filled().then(() => listsOwn(spare))],
  ];
  const tries = attacks.map(([what, attack]) => ({ what, attack: () => spare.during(attack) }));
  return { name: "crowding", tries };
}

/** Ended operations of other tenants' callers, written while the agent does not run. */
async function fill(spare: SpareHost): Promise<void> {
  await spare.host.agent.kill();
  const operations = await Operations.open({
    directory: spare.state,
    clock: systemClock,
    log: silentLog,
    retentionMs: 86_400_000,
    maxRunning: 1e6,
    maxRunningPerTenant: 1e6,
    maxRetainedPerTenant: 1e6,
  });
  await Promise.all(
    GREEDY.flatMap((tenant) =>
      Array.from({ length: KEPT_EACH }, async () => {
        const request = { requestId: randomUUID(), caller: `scheduler/x/tenant/${tenant}`, tenant };
        const what = { kind: "PAUSE_VM", vmId: randomUUID(), fingerprint: "f", intent: {} };
        const { operation } = await operations.begin({ ...request, ...what, byTenant: true });
        await operations.settle(operation.id, { state: "succeeded" });
      }),
    ),
  );
  await operations.drain(0);
  await spare.startAgain();
}

async function withCaller<T>(
  spare: SpareHost,
  holder: string,
  work: (caller: Caller) => Promise<T>,
): Promise<T> {
  const caller = await spare.callerAs(holder);
  try {
    return await work(caller);
  } finally {
    caller.close();
  }
}

/** The tenant at its limit is refused; another tenant and the provider are not. */
async function admitsOthers(spare: SpareHost): Promise<Outcome> {
  const { host, contract } = spare;
  const [tenant = ""] = GREEDY;
  const own = await spare.create("of-greedy", { tenant });
  const others = await spare.create("of-modest", { tenant: MODEST });
  const pause = (caller: Caller, vm: string): Promise<Answer> =>
    caller.call(
      contract.vms.PauseVm.path,
      contract.vms.PauseVm.requestSerialize({ requestId: randomUUID(), vm }),
    );
  const greedy = await withCaller(spare, `scheduler/g/tenant/${tenant}`, (by) => pause(by, own.vmId));
  if (greedy.reason !== "TOO_MANY_OPERATIONS")
    return { letThrough: `one more gets ${status[greedy.code]} ${greedy.reason}` };
  const modest = await withCaller(spare, `scheduler/m/tenant/${MODEST}`, (by) => pause(by, others.vmId));
  if (modest.code !== status.OK)
    return { letThrough: `another tenant gets ${status[modest.code]} ${modest.reason}` };
  const isPaused = async (): Promise<boolean> => (await host.witness.state("of-modest")) === "paused";
  await eventually(isPaused, { what: "the other tenant's VM to be paused", timeoutMs: 60_000 });
  await host.succeeds(mutation("PAUSE", own.vmId));
  return (await host.witness.state("of-greedy")) === "paused"
    ? "refused"
    : { letThrough: "nothing is paused" };
}

/** A tenant without a connection gets one while others hold all connections of tenants. */
async function admitsAnotherTenant(spare: SpareHost): Promise<Outcome> {
  const { path, requestSerialize } = spare.contract.vms.ListVms;
  const ask = (by: Caller): Promise<Answer> => by.call(path, requestSerialize({ pageSize: 1 }));
  const held: Caller[] = [];
  try {
    for (let tenant = 0; tenant < CONNECTING; tenant += 1) {
      const holders = Array.from(
        { length: CONNECTIONS },
        (_, at) => `viewer/v-${at}/tenant/holder-${tenant}`,
      );
      // More concurrent handshakes from one address are dropped.
      const own = await Promise.all(holders.map((holder) => spare.callerAs(holder)));
      held.push(...own);
      await Promise.all(own.map(ask));
    }
    const { code, message } = await withCaller(spare, "viewer/v/tenant/late", ask);
    return code === status.OK ? "refused" : { letThrough: `it gets ${status[code]} ${message}` };
  } finally {
    for (const caller of held) caller.close();
  }
}

/** Measured as processor time of the agent's main thread, which answers all calls. */
async function listsOwn(spare: SpareHost): Promise<Outcome> {
  const { contract } = spare;
  const { GetOperation: get, ListOperations: list } = contract.operations;
  const { operationId } = await spare.create("of-watched", { tenant: WATCHED });
  return await withCaller(spare, `viewer/v/tenant/${WATCHED}`, async (viewer) => {
    const costOf = async (path: string, request: Buffer): Promise<number> => {
      const before = await loopMs(spare.host.agent.pid);
      for (let left = LISTS; left > 0; left -= 1) {
        const { code, message } = await viewer.call(path, request);
        if (code !== status.OK) throw new Error(`${path} gets ${status[code]} ${message}`);
      }
      return (await loopMs(spare.host.agent.pid)) - before;
    };
    const { bytes = Buffer.alloc(0) } = await viewer.call(
      list.path,
      list.requestSerialize({ pageSize: 100 }),
    );
    const shown = list.responseDeserialize(bytes).operations.map((operation) => operation.operationId);
    if (shown.join() !== operationId) return { letThrough: `${shown.length} operations are shown` };
    await costOf(get.path, get.requestSerialize({ operationId }));
    const read = await costOf(get.path, get.requestSerialize({ operationId }));
    const listed = await costOf(list.path, list.requestSerialize({ pageSize: 1 }));
    const newest = await costOf(list.path, list.requestSerialize({ pageSize: 1, onlyRunning: true }));
    const times = Math.max(listed, newest) / read;
    const words = `${times.toFixed(1)} times the ${(read / LISTS).toFixed(2)} ms of a read`;
    return times <= MOST_TIMES_A_READ ? "refused" : { letThrough: `a list takes ${words}` };
  });
}

/** Processor time: schedstat of proc(5), first field. */
async function loopMs(pid: number): Promise<number> {
  const [ns] = (await readFile(`/proc/${pid}/task/${pid}/schedstat`, "utf8")).split(" ");
  return Number(ns) / 1e6;
}

async function auditLines({ state }: SpareHost): Promise<string[]> {
  const directory = join(state, "audit");
  const names = (await readdir(directory)).filter((name) => name.startsWith("audit-"));
  const texts = await Promise.all(names.map((name) => readFile(join(directory, name), "utf8")));
  return texts.flatMap((text) => text.trimEnd().split("\n"));
}

/** Each has a distinct text, so that none can be coalesced. */
async function floodsAudit(spare: SpareHost, holder: string, budget: typeof FAILURES): Promise<Outcome> {
  const { StartVm: start } = spare.contract.vms;
  const before = await auditLines(spare);
  const startMs = performance.now();
  const answers = await withCaller(spare, holder, async (caller) => {
    const fail = (): Promise<Answer> => {
      const vm = `${randomUUID()}-${"x".repeat(4096)}`;
      return caller.call(start.path, start.requestSerialize({ requestId: randomUUID(), vm }));
    };
    const all: Answer[] = [];
    while (all.length < FLOOD) all.push(...(await Promise.all(Array.from({ length: AT_ONCE }, fail))));
    return all;
  });
  const taken = answers.find(({ code }) => code === status.OK);
  if (taken !== undefined) return { letThrough: "a change of no VM is accepted" };
  const seconds = (performance.now() - startMs) / 1000;
  const grown = (await auditLines(spare)).slice(before.length);
  const failures = budget.savedUp + budget.perSecond * seconds;
  const most = Math.ceil(failures) * ENTRIES_OF_CALL + OTHER_ENTRIES;
  const bytes = grown.reduce((sum, line) => sum + line.length, 0);
  if (grown.length === 0) throw new Error("nothing is recorded, so the try proves nothing");
  if (grown.length > most)
    return { letThrough: `${grown.length} entries (${bytes} bytes) of ${FLOOD} calls are kept` };
  const longest = Math.max(...grown.map(({ length }) => length));
  return longest <= LONGEST_LINE ? "refused" : { letThrough: `an entry has ${longest} bytes` };
}

async function longFields(spare: SpareHost): Promise<Outcome> {
  const { host, contract } = spare;
  const { vms, reservations } = contract;
  const logged = host.agent.log.length;
  const audited = (await auditLines(spare)).length;
  await withCaller(spare, "scheduler/long", async (caller) => {
    for (const length of [250_000, 1_000_000]) {
      const text = "x".repeat(length);
      const requestId = randomUUID();
      const calls: readonly (readonly [path: string, request: Buffer])[] = [
        [vms.GetVm.path, vms.GetVm.requestSerialize({ vm: text })],
        [vms.StartVm.path, vms.StartVm.requestSerialize({ requestId, vm: text })],
        [vms.StopVm.path, vms.StopVm.requestSerialize({ requestId, vm: text })],
        [vms.DeleteVm.path, vms.DeleteVm.requestSerialize({ requestId, vm: text, etag: text })],
        [vms.StartVm.path, vms.StartVm.requestSerialize({ requestId: text, vm: "v" })],
        [vms.CreateVm.path, vms.CreateVm.requestSerialize({ requestId, spec: spare.spec(text) })],
        [vms.CreateVm.path, vms.CreateVm.requestSerialize({ requestId, spec: { name: "n", tenant: text } })],
        [
          reservations.ReleaseReservation.path,
          reservations.ReleaseReservation.requestSerialize({ requestId, reservationId: text }),
        ],
      ];
      for (const [path, request] of calls) {
        const { code } = await caller.call(path, request);
        if (code === status.OK) throw new Error(`${path} accepts a text of ${length} characters`);
      }
    }
  });
  await eventually(async () => (await auditLines(spare)).length > audited, {
    what: "entries of these calls",
  });
  const lines = [
    ...(await auditLines(spare)).slice(audited),
    ...host.agent.log.slice(logged).map((line) => JSON.stringify(line)),
  ];
  const longest = Math.max(...lines.map(({ length }) => length));
  return longest <= LONGEST_LINE ? "refused" : { letThrough: `a line of the logs has ${longest} bytes` };
}

/** Another VM's events are still held afterwards, and the guest's are few and summed up. */
async function floodsEvents(spare: SpareHost): Promise<Outcome> {
  const { host } = spare;
  const quiet = await spare.create("quiet");
  const loud = await spare.create("loud");
  const before = (await eventsUntil(spare, loud.vmId)).filter(({ vmId }) => vmId === quiet.vmId);
  if (before.length === 0) throw new Error("the quiet VM has no event that can be displaced");
  // A reset of a paused guest is the same event, without its firmware's work.
  await host.witness.virsh("suspend loud");
  const resets = Array.from({ length: 1.2 * EVENTS_KEPT }, () => "reset loud");
  for (let at = 0; at < resets.length; at += 100)
    await host.witness.virsh(resets.slice(at, at + 100).join("; "));
  const after = await eventsUntil(spare, (await spare.create("marker")).vmId);
  const lost = before.filter(({ sequence }) => !after.some((event) => event.sequence === sequence));
  if (lost.length > 0) return { letThrough: `${lost.length} events of another VM are displaced` };
  const flood = after.filter(({ vmId }) => vmId === loud.vmId);
  if (flood.length < 10)
    throw new Error(`the guest caused ${flood.length} events, so the try proves nothing`);
  return flood.length <= EVENTS_KEPT / 2 ? "refused" : { letThrough: `${flood.length} events of one guest` };
}

/** Reads the held events until a VM appears. */
async function eventsUntil({ host, contract }: SpareHost, vmId: string): Promise<Event__Output[]> {
  const found: Event__Output[] = [];
  for await (const event of host.client.watch(contract.events.Subscribe, {}, { timeoutMs: 30_000 })) {
    found.push(event);
    if (event.kind === "EVENT_KIND_VM_DEFINED" && event.vmId === vmId) return found;
  }
  throw new Error("the stream of events ended");
}
