import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { loadContract, type Contract } from "../../agent/contract/load.ts";
import { fromStatus } from "../../agent/cli/rpc-error.ts";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import type { VmSpec } from "../../agent/gen/socle/v1/VmSpec.ts";
import { toSocleError, type SocleError } from "../../agent/kernel/errors.ts";
import { AgentProcess } from "../support/agent-process.ts";
import { freePort } from "../support/ports.ts";
import { bootSector, protoDirectory } from "../support/socle-host.ts";
import { within } from "../support/wait.ts";
import { installTrust, type Authority, type Issued } from "../scheduler/authority.ts";
import { Caller, credentialsOf, secureOptions } from "./attack-calls.ts";
import type { CampaignRun } from "./campaign.ts";
import { FaultyHost } from "./host.ts";
import { StateDisk } from "./state-disk.ts";
import { isSame, type GuestProcess } from "./witness.ts";

const MIB = 2 ** 20;
const END_WITHIN_MS = 60_000;
const DEDICATED_CPU = "1";
/** One caller's budget of recorded failures: per second, and as a burst. */
export const FAILURES = { perSecond: 0.5, savedUp: 150 };
/** The minimum that an agent keeps, so that a flood could displace them. */
export const EVENTS_KEPT = 1000;
const execute = promisify(execFile);

const hostConfig = {
  reservedMemoryMiB: 0,
  cpuOvercommitRatio: 64,
  memoryOvercommitRatio: 4,
  dedicatedCpus: DEDICATED_CPU,
} as const;

/** A second host without other users: the attacks kill its agent and replace its state. */
export class SpareHost {
  readonly host: FaultyHost;
  readonly disk: StateDisk;
  readonly contract: Contract;
  readonly #authority: Authority;
  readonly #address: string;
  readonly #copiesDirectory: string;
  #copies = 0;

  static async start(run: CampaignRun, authority: Authority): Promise<SpareHost> {
    const directory = await mkdtemp(join(tmpdir(), "socle-attack-spare-"));
    run.cleanUp(() => rm(directory, { recursive: true, force: true }));
    const [copies, trust] = [join(directory, "copies"), join(directory, "trust")];
    await Promise.all([copies, trust].map((path) => mkdir(path, { mode: 0o700 })));
    const own = await authority.issue("agent/spare");
    await installTrust(trust, authority, own, await authority.revocationList());
    const disk = await StateDisk.make(run);
    const address = `127.0.0.1:${await freePort()}`;
    const host = await FaultyHost.start(run, {
      ...disk.agentOptions,
      config: {
        state: { directory: disk.stateDirectory, maxEvents: EVENTS_KEPT },
        host: hostConfig,
        trust: { domain: authority.domain, directory: trust },
        api: {
          listen: address,
          // The rate limit must not stop these attacks.
          limits: { mutationsPerSecond: 1e6, failuresPerSecond: FAILURES.perSecond },
        },
      },
    });
    const contract = loadContract(protoDirectory);
    return new SpareHost({ host, disk, contract, authority, address, copies });
  }

  private constructor(parts: {
    host: FaultyHost;
    disk: StateDisk;
    contract: Contract;
    authority: Authority;
    address: string;
    copies: string;
  }) {
    this.host = parts.host;
    this.disk = parts.disk;
    this.contract = parts.contract;
    this.#authority = parts.authority;
    this.#address = parts.address;
    this.#copiesDirectory = parts.copies;
  }

  /** A caller over TLS with a new certificate. */
  async callerAs(holder: string): Promise<Caller> {
    const by: Issued = await this.#authority.issue(holder);
    const options = secureOptions(this.#authority.certificatePem, by);
    return new Caller(this.#address, credentialsOf(options), this.contract);
  }

  get state(): string {
    return this.disk.stateDirectory;
  }

  /** Another agent, with its own state directory, on the same libvirt. */
  secondAgent(): Promise<AgentProcess> {
    return AgentProcess.start({
      bundle: this.host.bundle,
      config: { libvirt: { uri: this.host.libvirtd.uri }, vm: { accelerator: "tcg" }, host: hostConfig },
    });
  }

  async restart(): Promise<void> {
    await this.host.agent.kill();
    await this.startAgain();
  }

  async startAgain(): Promise<void> {
    await this.host.startAgain();
    await this.host.untilListed();
    await this.host.untilPoolsListed();
  }

  /** A copy of the state directory, like a backup of the running host. */
  async copyState(): Promise<string> {
    const copy = join(this.#copiesDirectory, `state-${(this.#copies += 1)}`);
    await execute("cp", ["-a", this.state, copy]);
    return copy;
  }

  /** Replaces the current state directory. */
  async putBack(copy: string): Promise<void> {
    await rm(this.state, { recursive: true, force: true });
    await execute("cp", ["-a", copy, this.state]);
  }

  /** Creates a VM with its own disk. */
  spec(name: string, changes: VmSpec = {}): VmSpec {
    const { disks = [] } = bootSector(name);
    const newVolume = { pool: "images", capacityBytes: MIB, format: "DISK_FORMAT_QCOW2" } as const;
    return bootSector(name, { disks: [...disks, { name: "data", newVolume }], ...changes });
  }

  async create(name: string, changes: VmSpec = {}): Promise<Operation__Output> {
    return await this.succeeds(
      await this.host.client.ask(this.host.client.contract.vms.CreateVm, {
        requestId: randomUUID(),
        spec: this.spec(name, changes),
      }),
    );
  }

  async succeeds(begun: Operation__Output): Promise<Operation__Output> {
    const end = await this.host.ended(begun, END_WITHIN_MS);
    if (end.state !== "STATE_SUCCEEDED") throw new Error(this.host.describe(end));
    return end;
  }

  /** Waits for the end of a resumed operation. */
  async endOf(operation: Operation__Output): Promise<Operation__Output> {
    const end = await this.host.ended(operation, END_WITHIN_MS);
    if (!end.done) throw new Error(`it does not end: ${this.host.describe(end)}`);
    return end;
  }

  /** Why an operation failed. */
  failureOf({ error }: Operation__Output): SocleError | undefined {
    return error === null ? undefined : fromStatus(this.contract, error);
  }

  /** The reason of a refused change; undefined: it was accepted. */
  async refusalOf(ask: () => Promise<unknown>): Promise<SocleError | undefined> {
    return await ask().then(
      () => undefined,
      (thrown: unknown) => toSocleError(thrown),
    );
  }

  /** Runs `act` while the next call of a procedure, or its reply, is held back. */
  async atNext(
    { name, number }: { readonly name: string; readonly number: number },
    at: "call" | "reply",
    act: () => Promise<void>,
    change: () => Promise<Operation__Output>,
  ): Promise<Operation__Output> {
    const { proxy } = this.host;
    let rule: ReturnType<typeof proxy.add> | undefined;
    const acted = new Promise<void>((resolve, reject) => {
      const fault = { kind: "notify", at, act: () => act().then(resolve, reject) } as const;
      rule = proxy.add({ among: new Set([number]), times: 1, fault });
    });
    try {
      const begun = await change();
      await within(acted, END_WITHIN_MS, `the agent's call of ${name}`);
      return begun;
    } finally {
      if (rule !== undefined) proxy.remove(rule);
    }
  }

  async runs(vmId: string, process: GuestProcess | undefined): Promise<boolean> {
    return isSame(process, await this.host.witness.process(vmId));
  }

  /** Runs an attack, then restores the disk and removes all VMs. */
  async during<T>(attack: () => Promise<T>): Promise<T> {
    try {
      return await attack();
    } finally {
      await this.disk.setFault("none");
      await this.clear();
    }
  }

  /** Removes all VMs and Socle's volumes before the next try. */
  async clear(): Promise<void> {
    const { client } = this.host;
    for (const { vmId, managed } of (await this.host.list()).vms)
      if (managed)
        await this.host.ended(
          await client.ask(client.contract.vms.DeleteVm, { requestId: randomUUID(), vm: vmId, force: true }),
          END_WITHIN_MS,
        );
    await this.removeByHand();
    await this.host.untilListed((vms) => vms.length === 0, "no VM");
  }

  /** Removes all VMs and Socle's volumes with virsh. Keeps the boot sector, a volume that all guests share. */
  async removeByHand(): Promise<void> {
    const { witness } = this.host;
    for (const name of (await witness.states()).keys()) {
      await witness.virsh("destroy", name).catch(() => undefined);
      await witness.virsh("undefine", name).catch(() => undefined);
    }
    for (const volume of await witness.volumes())
      await witness.virsh("vol-delete", volume, "--pool", "images");
  }
}
