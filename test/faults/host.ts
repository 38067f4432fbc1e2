import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Agent } from "../../agent/cli/client.ts";
import { fromStatus } from "../../agent/cli/rpc-error.ts";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import type { Vm__Output } from "../../agent/gen/socle/v1/Vm.ts";
import type { ListVmsResponse__Output } from "../../agent/gen/socle/v1/ListVmsResponse.ts";
import type { ListReservationsResponse__Output } from "../../agent/gen/socle/v1/ListReservationsResponse.ts";
import type { Reservation__Output } from "../../agent/gen/socle/v1/Reservation.ts";
import type { VmSpec } from "../../agent/gen/socle/v1/VmSpec.ts";
import { AgentProcess, type AgentProcessOptions } from "../support/agent-process.ts";
import { guestFilesIn } from "../support/guest.ts";
import { Libvirtd } from "../support/libvirtd.ts";
import { clientOf } from "../support/socle-host.ts";
import { virsh } from "../support/virsh.ts";
import { eventually } from "../support/wait.ts";
import type { CampaignRun } from "./campaign.ts";
import { processorWaitMs } from "./processor-wait.ts";
import { FaultProxy } from "./proxy.ts";
import { Witness } from "./witness.ts";

const MIB = 2 ** 20;

export type Kind =
  | "CREATE"
  | "START"
  | "STOP"
  | "PAUSE"
  | "RESUME"
  | "SUSPEND"
  | "DISCARD"
  | "RESCUE"
  | "UNRESCUE"
  | "DELETE";

export interface Mutation {
  readonly kind: Kind;
  /** A name or an id; for CREATE the new VM's name. */
  readonly vm: string;
  readonly requestId: string;
  /** STOP: the guest's time to stop by itself, in seconds, before a forced stop. */
  readonly gracefulSeconds?: number;
  /** CREATE: the reservation to consume. */
  readonly reservationId?: string;
}

export const mutation = (kind: Kind, vm: string, more: Partial<Mutation> = {}): Mutation => ({
  kind,
  vm,
  requestId: randomUUID(),
  ...more,
});

export interface Timed<T> {
  readonly answer: T;
  readonly ownMs: number;
  readonly tookMs: number;
}

/** A host for fault injection: a libvirtd, the fault proxy before it, an agent behind the proxy, and a witness. */
export class FaultyHost {
  readonly libvirtd: Libvirtd;
  readonly proxy: FaultProxy;
  readonly agent: AgentProcess;
  readonly witness: Witness;
  /** The shipped bundle, which is the command too. */
  readonly bundle: string;
  #client: Agent;

  private constructor(
    bundle: string,
    libvirtd: Libvirtd,
    proxy: FaultProxy,
    agent: AgentProcess,
    client: Agent,
  ) {
    this.bundle = bundle;
    this.libvirtd = libvirtd;
    this.proxy = proxy;
    this.agent = agent;
    this.witness = new Witness(libvirtd);
    this.#client = client;
  }

  /** Its libvirtd has a pool "images" with the boot sector. Removed at the end of the run. */
  static async start(run: CampaignRun, options: AgentProcessOptions = {}): Promise<FaultyHost> {
    const bundle = options.bundle ?? (await run.bundle());
    const libvirtd = run.keep(await Libvirtd.start());
    await guestFilesIn(libvirtd.imagesDirectory);
    await virsh(libvirtd.uri, ["pool-create-as", "images", "dir", "--target", libvirtd.imagesDirectory]);
    const socketPath = join(libvirtd.directory, "proxy.sock");
    const proxy = run.keep(
      await FaultProxy.start({ socketPath, daemonPath: libvirtd.socketPath, maxRequests: 5 }),
    );
    const config = {
      ...options.config,
      libvirt: { ...options.config?.libvirt, uri: proxy.uri },
      guest: { socketDirectory: libvirtd.socketDirectory },
      vm: { accelerator: "tcg" as const, sampleIntervalSeconds: 1, ...options.config?.vm },
      // The machine's free memory is not tested here.
      host: {
        reservedMemoryMiB: 0,
        cpuOvercommitRatio: 64,
        memoryOvercommitRatio: 4,
        ...options.config?.host,
      },
    };
    const agent = run.keep(await AgentProcess.start({ ...options, bundle, config }));
    const host = new FaultyHost(bundle, libvirtd, proxy, agent, await clientOf(agent));
    run.cleanUp(() => host.#client.close());
    await host.untilListed();
    await host.untilPoolsListed();
    return host;
  }

  get client(): Agent {
    return this.#client;
  }

  /** Starts a killed agent again on the same state. */
  async startAgain(): Promise<void> {
    this.#client.close();
    await this.agent.startAgain();
    this.#client = await clientOf(this.agent);
  }

  list(): Promise<ListVmsResponse__Output> {
    return this.#client.ask(this.#client.contract.vms.ListVms, { pageSize: 1000 });
  }

  /**
   * The agent's reply and its latency: in total, and without the time in which the agent or this process waited for a
   * processor, which on a busy machine may be all of it.
   */
  async timed<T>(ask: () => Promise<T>): Promise<Timed<T>> {
    const { pid } = this.agent;
    const hindered = processorWaitMs(pid, process.pid);
    const startMs = performance.now();
    const answer = await ask();
    const tookMs = performance.now() - startMs;
    // An agent that ended meanwhile counts 0.
    const ownMs = tookMs - Math.min(tookMs, Math.max(0, processorWaitMs(pid, process.pid) - hindered));
    return { answer, ownMs, tookMs };
  }

  get(vm: string): Promise<Vm__Output> {
    return this.#client.ask(this.#client.contract.vms.GetVm, { vm });
  }

  /** Waits until the agent's list is complete and `holds`. */
  async untilListed(
    holds: (vms: readonly Vm__Output[]) => boolean = () => true,
    what = "all VMs",
    timeoutMs = 40_000,
  ): Promise<void> {
    await eventually(
      async () => {
        const { vms, observation } = await this.list();
        return observation?.presence === "PRESENCE_PRESENT" && holds(vms);
      },
      { what: `the agent to see ${what}`, timeoutMs, intervalMs: 50 },
    );
  }

  /** Waits until the agent knows its pools, since it creates no volume before. */
  async untilPoolsListed(): Promise<void> {
    const { contract } = this.#client;
    await eventually(
      async () => {
        const { inventory } = await this.#client.ask(contract.host.GetHost, {});
        const unread = inventory?.incompleteReasons ?? [];
        return !unread.some((reason) => /not been read yet|storage pool/.test(reason));
      },
      { what: "the agent to see its pools", timeoutMs: 40_000, intervalMs: 50 },
    );
  }

  /** Starts the operation, or finds it by its request id. */
  begin({
    kind,
    vm,
    requestId,
    gracefulSeconds = 0,
    reservationId = "",
  }: Mutation): Promise<Operation__Output> {
    const { vms } = this.#client.contract;
    switch (kind) {
      case "CREATE":
        return this.#client.ask(vms.CreateVm, { requestId, spec: guest(vm), reservationId });
      case "START":
        return this.#client.ask(vms.StartVm, { requestId, vm });
      case "STOP": {
        const gracefulTimeout = { seconds: gracefulSeconds, nanos: 0 };
        return this.#client.ask(vms.StopVm, { requestId, vm, gracefulTimeout, force: true });
      }
      case "PAUSE":
        return this.#client.ask(vms.PauseVm, { requestId, vm });
      case "RESUME":
        return this.#client.ask(vms.ResumeVm, { requestId, vm });
      case "SUSPEND":
        return this.#client.ask(vms.SuspendVm, { requestId, vm });
      case "DISCARD":
        return this.#client.ask(vms.DiscardSavedState, { requestId, vm });
      case "RESCUE":
        return this.#client.ask(vms.RescueVm, { requestId, vm, volume: rescueVolume, ...forced });
      case "UNRESCUE":
        return this.#client.ask(vms.UnrescueVm, { requestId, vm, ...forced });
      case "DELETE":
        return this.#client.ask(vms.DeleteVm, { requestId, vm, force: true });
    }
  }

  /** A reservation for a guest, longer than any fault. */
  reserve(requestId: string, seconds = 600): Promise<Reservation__Output> {
    const { reservations } = this.#client.contract;
    const room = { vcpus: 1, memoryBytes: 32 * MIB, ttl: { seconds, nanos: 0 } };
    return this.#client.ask(reservations.Reserve, { requestId, ...room });
  }

  reservations(): Promise<ListReservationsResponse__Output> {
    const { reservations } = this.#client.contract;
    return this.#client.ask(reservations.ListReservations, { pageSize: 1000, includeEnded: true });
  }

  /** The operation at its end, or at the timeout. */
  async ended(operation: Operation__Output, timeoutMs: number): Promise<Operation__Output> {
    const { operations } = this.#client.contract;
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const request = { operationId: operation.operationId, timeout: { seconds: 2, nanos: 0 } };
      const now = await this.#client.ask(operations.WaitOperation, request);
      if (now.done || performance.now() > deadline) return now;
    }
  }

  /**
   * For use without a fault: throws if the operation does not succeed. A campaign's deadline of one call may be so short that a
   * libvirt on a busy machine misses it: then it is requested again.
   */
  async succeeds(asked: Mutation): Promise<Operation__Output> {
    const deadline = performance.now() + 60_000;
    for (let now = asked; ; now = { ...asked, requestId: randomUUID() }) {
      const end = await this.ended(await this.begin(now), 60_000);
      if (end.state === "STATE_SUCCEEDED") return end;
      if (!this.#isLate(end) || performance.now() > deadline)
        throw new Error(`${asked.kind} ${asked.vm}: ${this.describe(end)}`);
    }
  }

  #isLate({ error }: Operation__Output): boolean {
    if (error === null) return false;
    const { kind, reason } = fromStatus(this.#client.contract, error);
    return (kind === "timeout" || kind === "unavailable") && reason.startsWith("LIBVIRT_");
  }

  /** Whether the seed of a VM holds what its creation gave. */
  async isSeedWhole(vmId: string, name: string): Promise<boolean> {
    const path = join(this.libvirtd.imagesDirectory, `socle-${vmId}-seed.iso`);
    const image = await readFile(path, "latin1").catch(() => "");
    return image.includes(userData) && image.includes(`"local-hostname":"${name}"`);
  }

  /** An operation in a line. */
  describe(operation: Operation__Output): string {
    const { kind, state, error, steps } = operation;
    const why = error === null ? "" : ` ${fromStatus(this.#client.contract, error).reason}: ${error.message}`;
    const done = steps.map(({ name, outcome }) => `${name} ${outcome || "under way"}`).join(", ");
    return `${kind} ${state.replace("STATE_", "").toLowerCase()}${why} [${done}]`;
  }
}

const rescueVolume = { pool: "images", volume: "bootsector.img" };
const forced = { force: true, gracefulTimeout: { seconds: 0, nanos: 0 } };

const userData = "#cloud-config\nruncmd: [poweroff]\n";

/** A guest that prints and halts, with a new disk and a seed. */
const guest = (name: string): VmSpec => ({
  name,
  vcpus: 1,
  memoryBytes: 32 * MIB,
  disks: [
    { name: "boot", volume: { pool: "images", volume: "bootsector.img" }, readOnly: true },
    { name: "data", newVolume: { pool: "images", capacityBytes: MIB, format: "DISK_FORMAT_QCOW2" } },
  ],
  cloudInit: { userData },
});
