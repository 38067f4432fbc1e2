import { randomUUID } from "node:crypto";
import { setMaxListeners } from "node:events";
import { join } from "node:path";
import { connect, type Agent } from "../../agent/cli/client.ts";
import { fromStatus } from "../../agent/cli/rpc-error.ts";
import type { Host__Output } from "../../agent/gen/socle/v1/Host.ts";
import type { ListVmsResponse__Output } from "../../agent/gen/socle/v1/ListVmsResponse.ts";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import type { VmSpec } from "../../agent/gen/socle/v1/VmSpec.ts";
import type { SocleError } from "../../agent/kernel/errors.ts";
import { AgentProcess, type AgentProcessOptions } from "./agent-process.ts";
import { guestFilesIn, linuxCommandLine, type GuestFiles } from "./guest.ts";
import { Libvirtd, type LibvirtdOptions } from "./libvirtd.ts";
import { virsh } from "./virsh.ts";
import { eventually } from "./wait.ts";

const MIB = 2 ** 20;
export const protoDirectory = join(import.meta.dirname, "../../proto");

/**
 * A test's own complete host: libvirtd with a pool "images" that holds the tiny guest, the agent, a client of
 * it.
 */
export class SocleHost {
  readonly libvirtd: Libvirtd;
  readonly agent: AgentProcess;
  readonly files: GuestFiles;
  #client: Agent;

  private constructor(libvirtd: Libvirtd, agent: AgentProcess, files: GuestFiles, client: Agent) {
    this.libvirtd = libvirtd;
    this.agent = agent;
    this.files = files;
    this.#client = client;
  }

  static async start(
    options: AgentProcessOptions = {},
    libvirtdOptions: LibvirtdOptions = {},
  ): Promise<SocleHost> {
    const libvirtd = await Libvirtd.start(libvirtdOptions);
    let agent: AgentProcess | undefined;
    try {
      const files = await guestFilesIn(libvirtd.imagesDirectory);
      await virsh(libvirtd.uri, ["pool-create-as", "images", "dir", "--target", libvirtd.imagesDirectory]);
      const config = {
        ...options.config,
        libvirt: { ...options.config?.libvirt, uri: libvirtd.uri },
        guest: { socketDirectory: libvirtd.socketDirectory, ...options.config?.guest },
      };
      agent = await AgentProcess.start({ ...options, config });
      const host = new SocleHost(libvirtd, agent, files, await clientOf(agent));
      await host.untilListed();
      return host;
    } catch (cause) {
      await agent?.stop();
      await libvirtd.stop();
      throw cause;
    }
  }

  /** The client of the operator's socket. */
  get client(): Agent {
    return this.#client;
  }

  /** Connects again after a restart of the agent. */
  async reconnect(): Promise<void> {
    this.#client.close();
    this.#client = await clientOf(this.agent);
  }

  /**
   * Waits until the agent knows all VMs, the pools' volumes and the owner of its libvirt: a new libvirtd takes seconds to open,
   * and the agent serves before.
   */
  async untilListed(timeoutMs = 30_000): Promise<void> {
    const isComplete = async (): Promise<boolean> => {
      const unread = (await this.host()).inventory?.incompleteReasons ?? [];
      const { presence } = (await this.list()).observation ?? {};
      const arePoolsSeen = !unread.some((reason) => /not been read yet|storage pool/.test(reason));
      const notReady = await (await fetch(`http://${this.agent.metricsAddress}/readyz`)).text();
      const isLeaseKnown = !notReady.includes("LIBVIRT_UNAVAILABLE");
      if (presence === "PRESENCE_PRESENT" && arePoolsSeen && isLeaseKnown) return true;
      throw new Error(`VMs: ${presence}; not read: ${unread.join("; ") || "nothing"}; ${notReady}`);
    };
    await eventually(isComplete, { what: "the VMs and the pools to be read", timeoutMs });
  }

  list(): Promise<ListVmsResponse__Output> {
    return this.#client.ask(this.#client.contract.vms.ListVms, { pageSize: 1000 });
  }

  host(): Promise<Host__Output> {
    return this.#client.ask(this.#client.contract.host.GetHost, {});
  }

  /** Begins a creation; `create` waits for its end as well. */
  beginCreate(
    spec: VmSpec,
    request: { requestId?: string; leaveStopped?: boolean } = {},
  ): Promise<Operation__Output> {
    const { requestId = randomUUID(), leaveStopped = false } = request;
    return this.#client.ask(this.#client.contract.vms.CreateVm, { requestId, spec, leaveStopped });
  }

  async create(spec: VmSpec, request: { leaveStopped?: boolean } = {}): Promise<Operation__Output> {
    return await this.end(await this.beginCreate(spec, request));
  }

  /** Deletes a VM and its disks, running or not. */
  async remove(vm: string): Promise<Operation__Output> {
    const request = { requestId: randomUUID(), vm, force: true };
    return await this.end(await this.#client.ask(this.#client.contract.vms.DeleteVm, request));
  }

  /** The operation once it has an end. */
  async end(operation: Operation__Output, timeoutMs = 60_000): Promise<Operation__Output> {
    const { operations } = this.#client.contract;
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const request = { operationId: operation.operationId, timeout: { seconds: 5 } };
      const now = await this.#client.ask(operations.WaitOperation, request);
      if (now.done) return now;
      if (performance.now() > deadline) throw new Error(`${now.kind} goes on: ${JSON.stringify(now.steps)}`);
    }
  }

  /** The error of a failed operation. */
  failureOf(operation: Operation__Output): SocleError | undefined {
    return operation.error === null ? undefined : fromStatus(this.#client.contract, operation.error);
  }

  /** All domains, over virsh. */
  async domains(): Promise<string[]> {
    return wordsOf(await this.virsh("list", "--all", "--name"));
  }

  /** All volumes of a pool, over virsh. */
  async volumes(pool = "images"): Promise<string[]> {
    await this.virsh("pool-refresh", pool);
    const lines = (await this.virsh("vol-list", pool)).split("\n");
    return lines.flatMap((line) => wordsOf(line).slice(0, 1)).sort();
  }

  virsh(...args: string[]): Promise<string> {
    return virsh(this.libvirtd.uri, args);
  }

  async stop(): Promise<void> {
    this.#client.close();
    await this.agent.stop();
    await this.libvirtd.stop();
  }
}

export function clientOf(agent: AgentProcess): Promise<Agent> {
  const { signal } = new AbortController();
  // Every call adds a listener, and a test makes hundreds at a time.
  setMaxListeners(0, signal);
  // The command gives an agent 3 s for its first answer; a machine that is busy with other tests may take longer.
  const contact = () => connect({ kind: "socket", path: agent.socketPath }, protoDirectory, signal);
  return eventually(contact, { what: "the agent's first answer", timeoutMs: 60_000 });
}

/** The smallest guest there is: it prints its marker, halts, and reacts to nothing. */
export const bootSector = (name: string, changes: VmSpec = {}): VmSpec => ({
  name,
  vcpus: 1,
  memoryBytes: 32 * MIB,
  accelerator: "ACCELERATOR_TCG",
  disks: [{ name: "boot", volume: { pool: "images", volume: "bootsector.img" }, readOnly: true }],
  ...changes,
});

/** The tiny Linux guest. */
export const linux = (name: string, changes: VmSpec = {}): VmSpec => ({
  name,
  vcpus: 1,
  memoryBytes: 128 * MIB,
  accelerator: "ACCELERATOR_TCG",
  kernelBoot: {
    kernel: { pool: "images", volume: "vmlinuz" },
    initrd: { pool: "images", volume: "initrd" },
    commandLine: linuxCommandLine,
  },
  ...changes,
});

const wordsOf = (text: string): string[] => text.split(/\s+/).filter((word) => word !== "");
