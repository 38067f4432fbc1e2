import { randomUUID } from "node:crypto";
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
import { hinderedMs } from "./hindrance.ts";
import { FaultProxy } from "./proxy.ts";
import { Witness } from "./witness.ts";

const MIB = 2 ** 20;

export type Kind = "CREATE" | "START" | "STOP" | "PAUSE" | "RESUME" | "DELETE";

export interface Wish {
  readonly kind: Kind;
  /** A name or an id; the name of the VM to be for CREATE. */
  readonly vm: string;
  readonly requestId: string;
  /** STOP: how long the guest may take by itself, in seconds; its plug is pulled then. */
  readonly gracefulSeconds?: number;
  /** CREATE: whose room it takes. */
  readonly reservationId?: string;
}

export const wish = (kind: Kind, vm: string, more: Partial<Wish> = {}): Wish => ({
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

/** A host that is to suffer: a libvirtd of its own, the fault proxy before it, an agent behind that, and a witness. */
export class SufferingHost {
  readonly libvirtd: Libvirtd;
  readonly proxy: FaultProxy;
  readonly agent: AgentProcess;
  readonly witness: Witness;
  /** The agent as it is shipped, which is the command as well. */
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

  /** Its libvirtd has a pool "images" that holds the boot sector. It goes with the run. */
  static async start(run: CampaignRun, options: AgentProcessOptions = {}): Promise<SufferingHost> {
    const bundle = await run.bundle();
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
      vm: { accelerator: "tcg" as const, sampleIntervalSeconds: 1, ...options.config?.vm },
      // What the machine has left is not what is tried here.
      host: {
        reservedMemoryMiB: 0,
        cpuOvercommitRatio: 64,
        memoryOvercommitRatio: 4,
        ...options.config?.host,
      },
    };
    const agent = run.keep(await AgentProcess.start({ bundle, ...options, config }));
    const host = new SufferingHost(bundle, libvirtd, proxy, agent, await clientOf(agent));
    run.cleanUp(() => host.#client.close());
    await host.sees();
    await host.seesPools();
    return host;
  }

  get client(): Agent {
    return this.#client;
  }

  /** Starts the agent again after it was killed, over the same state. */
  async startAgain(): Promise<void> {
    this.#client.close();
    await this.agent.startAgain();
    this.#client = await clientOf(this.agent);
  }

  list(): Promise<ListVmsResponse__Output> {
    return this.#client.ask(this.#client.contract.vms.ListVms, { pageSize: 1000 });
  }

  /**
   * The agent's answer, and how long it took: in all, and less the time in which the machine kept the agent or this
   * process from running, which on a busy machine may be all of it.
   */
  async timed<T>(ask: () => Promise<T>): Promise<Timed<T>> {
    const { pid } = this.agent;
    const hindered = hinderedMs(pid, process.pid);
    const startMs = performance.now();
    const answer = await ask();
    const tookMs = performance.now() - startMs;
    // An agent that has ended meanwhile counts nothing.
    const ownMs = tookMs - Math.min(tookMs, Math.max(0, hinderedMs(pid, process.pid) - hindered));
    return { answer, ownMs, tookMs };
  }

  get(vm: string): Promise<Vm__Output> {
    return this.#client.ask(this.#client.contract.vms.GetVm, { vm });
  }

  /** Until the agent's list is whole, and `holds` of it. */
  async sees(
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

  /** Until the agent knows what its pools hold: before that no volume is made. */
  async seesPools(): Promise<void> {
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

  /** The operation as it was begun, or found. */
  begin({ kind, vm, requestId, gracefulSeconds = 0, reservationId = "" }: Wish): Promise<Operation__Output> {
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
      case "DELETE":
        return this.#client.ask(vms.DeleteVm, { requestId, vm, force: true });
    }
  }

  /** Room for a guest, claimed for longer than any trouble lasts. */
  reserve(requestId: string, seconds = 600): Promise<Reservation__Output> {
    const { reservations } = this.#client.contract;
    const room = { vcpus: 1, memoryBytes: 32 * MIB, ttl: { seconds, nanos: 0 } };
    return this.#client.ask(reservations.Reserve, { requestId, ...room });
  }

  reservations(): Promise<ListReservationsResponse__Output> {
    const { reservations } = this.#client.contract;
    return this.#client.ask(reservations.ListReservations, { pageSize: 1000, includeEnded: true });
  }

  /** As it is at its end, or when the time is over. */
  async ended(operation: Operation__Output, timeoutMs: number): Promise<Operation__Output> {
    const { operations } = this.#client.contract;
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const request = { operationId: operation.operationId, timeout: { seconds: 2, nanos: 0 } };
      const now = await this.#client.ask(operations.WaitOperation, request);
      if (now.done || performance.now() > deadline) return now;
    }
  }

  /** Without any fault: throws when it does not succeed. */
  async succeeds(asked: Wish): Promise<Operation__Output> {
    const end = await this.ended(await this.begin(asked), 60_000);
    if (end.state !== "STATE_SUCCEEDED") throw new Error(`${asked.kind} ${asked.vm}: ${this.tell(end)}`);
    return end;
  }

  /** An operation in a line. */
  tell(operation: Operation__Output): string {
    const { kind, state, error, steps } = operation;
    const why = error === null ? "" : ` ${fromStatus(this.#client.contract, error).reason}: ${error.message}`;
    const done = steps.map(({ name, outcome }) => `${name} ${outcome || "under way"}`).join(", ");
    return `${kind} ${state.replace("STATE_", "").toLowerCase()}${why} [${done}]`;
  }
}

/** A guest that prints and halts, with a disk of its own that is made for it. */
const guest = (name: string): VmSpec => ({
  name,
  vcpus: 1,
  memoryBytes: 32 * MIB,
  disks: [
    { name: "boot", volume: { pool: "images", volume: "bootsector.img" }, readOnly: true },
    { name: "data", newVolume: { pool: "images", capacityBytes: MIB, format: "DISK_FORMAT_QCOW2" } },
  ],
});
