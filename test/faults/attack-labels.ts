import { randomUUID } from "node:crypto";
import { status } from "@grpc/grpc-js";
import type { Vm__Output } from "../../agent/gen/socle/v1/Vm.ts";
import { AgentProcess } from "../support/agent-process.ts";
import { bootSector, clientOf } from "../support/socle-host.ts";
import { virsh } from "../support/virsh.ts";
import { eventually, within } from "../support/wait.ts";
import type { KnownHost } from "../scheduler/host.ts";
import { Scheduler } from "../scheduler/scheduler.ts";
import { heldBytes, MOST_HELD_BYTES } from "./attack-answers.ts";
import type { Caller } from "./attack-calls.ts";
import type { Stage } from "./attack-stage.ts";
import type { Outcome, Theme, Try } from "./attack-runner.ts";

const MIB = 2 ** 20;
/** Together above gRPC's default of 4 MiB per message. */
const VMS = 50;
/** More than 1 MiB. */
const FEWEST_VMS = 14;
const END_WITHIN_MS = 120_000;
/** The largest value that the contract accepts: three bytes per character on the wire. */
const labels = Object.fromEntries(Array.from({ length: 64 }, (_, at) => [`label-${at}`, "漢".repeat(255)]));

/** One tenant's VMs with the largest legal labels: every list and report is cut, and the scheduler stays connected. */
export async function largeLabels(stage: Stage, scale: number): Promise<Theme> {
  const { host, authority, run, contract } = stage;
  const tenants = stage.callerOf(await authority.issue("scheduler/labels/tenant/labels"));
  const viewer = stage.callerOf(await authority.issue("viewer/labels"));
  const count = Math.max(FEWEST_VMS, Math.round(VMS * scale));
  const ids = await create(stage, tenants, count);
  const reported = await Reported.start(stage, ids);
  const remove = async (vm: string): Promise<void> => {
    await host.succeeds({ kind: "DELETE", vm, requestId: randomUUID() });
  };
  const tries: Try[] = [
    { what: "a list by the tenant", attack: () => isListed(stage, tenants, ids) },
    { what: "a list by a viewer", attack: () => isListed(stage, viewer, ids) },
    {
      what: "a full report to a scheduler with a limit of 1 MiB per message",
      attack: () => reported.whole(),
    },
    { what: "all VMs changed while the scheduler is disconnected", attack: () => reported.changes() },
    {
      what: "a watcher that does not read",
      attack: async () => {
        const watch = host.client.watch(contract.vms.WatchVms, {});
        try {
          return await followsLate(stage, watch, remove);
        } finally {
          await watch.return(undefined);
        }
      },
    },
  ];
  return {
    name: "largeLabels",
    tries,
    check: async () => {
      await reported.end();
      for (const each of [tenants, viewer]) each.close();
      await Promise.all(ids.map(remove));
      run.log(`${count} VMs are gone`);
    },
  };
}

async function create({ host, contract }: Stage, by: Caller, count: number): Promise<readonly string[]> {
  const { CreateVm } = contract.vms;
  return await Promise.all(
    Array.from({ length: count }, async (_, at) => {
      const spec = bootSector(`labels-${at}`, { labels, memoryBytes: 16 * MIB });
      const request = CreateVm.requestSerialize({ requestId: randomUUID(), spec, leaveStopped: true });
      const { bytes, message } = await by.call(CreateVm.path, request);
      if (bytes === undefined) throw new Error(`legal labels are refused: ${message}`);
      const end = await host.ended(CreateVm.responseDeserialize(bytes), END_WITHIN_MS);
      if (end.state !== "STATE_SUCCEEDED") throw new Error(host.describe(end));
      return end.vmId;
    }),
  );
}

/** In pages of at most 1 MiB, without omissions. */
async function isListed({ contract }: Stage, by: Caller, ids: readonly string[]): Promise<Outcome> {
  const { ListVms } = contract.vms;
  const missing = new Set(ids);
  let pages = 0;
  for (let pageToken = ""; ; pages += 1) {
    const request = ListVms.requestSerialize({ pageSize: 1000, pageToken });
    const { code, message, bytes } = await by.call(ListVms.path, request);
    if (bytes === undefined) return { letThrough: `the list ends in ${status[code]}: ${message}` };
    if (bytes.length > MIB) return { letThrough: `a page has ${bytes.length} bytes` };
    const { vms, nextPageToken } = ListVms.responseDeserialize(bytes);
    for (const vm of vms) if (isWhole(vm)) missing.delete(vm.vmId);
    pageToken = nextPageToken;
    if (pageToken === "") break;
  }
  return missing.size === 0 ? "refused" : { letThrough: `${missing.size} VMs are not in ${pages} pages` };
}

const isWhole = (vm: Vm__Output): boolean => Object.keys(vm.labels).length === Object.keys(labels).length;

/** Another agent on the same libvirt, which reports to a scheduler with a message limit of 1 MiB. */
class Reported {
  readonly #stage: Stage;
  readonly #ids: readonly string[];
  readonly #scheduler: Scheduler;
  readonly #agent: AgentProcess;
  readonly #known: KnownHost;
  #memoryKiB = 16 * 1024;

  static async start(stage: Stage, ids: readonly string[]): Promise<Reported> {
    const { host, run } = stage;
    const scheduler = await Scheduler.start({ heartbeatMs: 200, reconnectSpreadMs: 1, maxMessageBytes: MIB });
    run.cleanUp(() => scheduler.stop());
    const config = { libvirt: { uri: host.libvirtd.uri }, scheduler: { address: scheduler.address } };
    const agent = run.keep(await AgentProcess.start({ bundle: host.bundle, config }));
    const client = await clientOf(agent);
    try {
      const { contract } = client;
      const sees = async (): Promise<boolean> => {
        const { observation } = await client.ask(contract.vms.ListVms, {});
        return observation?.presence === "PRESENCE_PRESENT";
      };
      await eventually(sees, { what: "the reporting agent to see all VMs" });
    } finally {
      client.close();
    }
    const known = await eventually(() => [...scheduler.hosts.values()][0], { what: "the agent's session" });
    return new Reported(stage, ids, scheduler, agent, known);
  }

  private constructor(
    stage: Stage,
    ids: readonly string[],
    scheduler: Scheduler,
    agent: AgentProcess,
    known: KnownHost,
  ) {
    this.#stage = stage;
    this.#ids = ids;
    this.#scheduler = scheduler;
    this.#agent = agent;
    this.#known = known;
  }

  async end(): Promise<void> {
    await this.#agent.terminate();
  }

  async whole(): Promise<Outcome> {
    await this.#inStep("the first report", isWhole);
    const { sessions, reports } = this.#known;
    this.#scheduler.resync(this.#known.hostId, "attack");
    await eventually(() => this.#known.reports > reports, { what: "another whole report" });
    return await this.#staysConnected(sessions);
  }

  /** Too large for one delta: sent as a report. */
  async changes(): Promise<Outcome> {
    const { host } = this.#stage;
    await this.#inStep("the first report", isWhole);
    const { sessions } = this.#known;
    this.#memoryKiB += 1024;
    this.#scheduler.reconnect(this.#known.hostId, 10_000);
    await eventually(() => !this.#known.connected, { what: "the session to end" });
    for (const id of this.#ids)
      await virsh(host.libvirtd.uri, ["setmaxmem", id, String(this.#memoryKiB), "--config"]);
    await this.#inStep("the changes", ({ memoryBytes }) => memoryBytes === this.#memoryKiB * 1024);
    return await this.#staysConnected(sessions + 1);
  }

  async #inStep(what: string, is: (vm: Vm__Output) => boolean): Promise<void> {
    const { vms } = this.#known;
    await eventually(
      () =>
        this.#ids.every((id) => {
          const vm = this.#known.vms.get(id);
          return vm !== undefined && is(vm);
        }),
      {
        what: `${what} of ${this.#ids.length} VMs at the scheduler (it has ${vms.size})`,
        timeoutMs: END_WITHIN_MS,
      },
    );
  }

  async #staysConnected(sessions: number): Promise<Outcome> {
    const { heartbeats } = this.#known;
    await eventually(() => this.#known.heartbeats > heartbeats + 5, { what: "further heartbeats" });
    if (this.#known.connected && this.#known.sessions === sessions) return "refused";
    return { letThrough: `the host was disconnected: ${this.#known.sessions - sessions} further sessions` };
  }
}

/** The agent holds little memory for a watcher that does not read, which is current as soon as it reads again. */
async function followsLate(
  stage: Stage,
  watch: AsyncGenerator<{ readonly kind: string; readonly vm: Vm__Output | null }, unknown>,
  remove: (vm: string) => Promise<void>,
): Promise<Outcome> {
  const { host } = stage;
  const known = new Map<string, string>();
  let isSynced = false;
  const next = async (): Promise<void> => {
    const message = await watch.next();
    if (message.done === true) throw new Error("the watch ended");
    const { kind, vm } = message.value;
    if (kind === "KIND_RESYNC") known.clear();
    isSynced = kind === "KIND_SYNCED" || (isSynced && kind !== "KIND_RESYNC");
    if (vm === null) return;
    if (kind === "KIND_REMOVED") known.delete(vm.vmId);
    else known.set(vm.vmId, vm.etag);
  };
  await next();
  const [gone, stays] = await Promise.all(
    ["gone", "stays"].map((name) =>
      host.succeeds({ kind: "CREATE", vm: `watched-${name}`, requestId: randomUUID() }),
    ),
  );
  if (gone === undefined || stays === undefined) throw new Error("nothing was created");
  try {
    await remove(gone.vmId);
    const held = await heldBytes(stage);
    if (held > MOST_HELD_BYTES) return { letThrough: `${held} bytes of replies are held` };
    const last = await host.get(stays.vmId);
    const catchUp = async (): Promise<void> => {
      while (!isSynced || known.get(stays.vmId) !== last.etag || known.has(gone.vmId)) await next();
    };
    return await within(catchUp(), END_WITHIN_MS, "the watcher to catch up").then(
      () => "refused" as const,
      (thrown: unknown) => ({ letThrough: String(thrown) }),
    );
  } finally {
    await remove(stays.vmId);
  }
}
