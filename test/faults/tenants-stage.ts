import { randomUUID } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { credentials, status } from "@grpc/grpc-js";
import { loadContract, type Contract } from "../../agent/contract/load.ts";
import type { Role } from "../../agent/contract/methods.ts";
import type { Disk } from "../../agent/gen/socle/v1/Disk.ts";
import type { VmSpec } from "../../agent/gen/socle/v1/VmSpec.ts";
import type { Vm__Output } from "../../agent/gen/socle/v1/Vm.ts";
import { freePort } from "../support/ports.ts";
import { protoDirectory } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";
import { Authority, installTrust, type Issued } from "../scheduler/authority.ts";
import { Caller, credentialsOf, secureOptions, type Answer } from "./attack-calls.ts";
import type { CampaignRun } from "./campaign.ts";
import { makeBelongings } from "./foreign-belongings.ts";
import type { Belongings } from "./foreign-rows.ts";
import { FaultyHost } from "./host.ts";
import type { GuestProcess } from "./witness.ts";

export const MIB = 2 ** 20;
const HOSTILE = 8;
const hostileNames = Array.from({ length: HOSTILE }, (_, at) => `hostile-${at + 1}`);
const PERMITTED = "permitted";
/** The quota of each hostile tenant. */
export const QUOTA = {
  vms: 3,
  vcpus: 4,
  memoryMiB: 160,
  diskMiB: 16,
  runningOperations: 8,
  keptOperations: 96,
};
/** The number of hostile tenants with a low quota of operations, which they fill; the others leave room for operations. */
const HOARDERS = 2;
export const KEPT_BY_HOARDERS = 32;
const DOMAIN = "cloud.example";
/** The hostile tenants' network, and the victim's own. */
export const COMMON_NETWORK = "common";
export const VICTIM_NETWORK = "victims";
export const VICTIM_ADDRESS = "10.66.0.7";
/** Resources for the permitted tenant only, and for the provider only. */
export const HOST_DEVICE = "0000:ff:1f.7";
export const DEDICATED_CPU = 1;
export const HOST_BRIDGE = "virbr0";
/** Labels of a VM that makes a list large. */
const LABELS = { count: 64, keyLength: 63, valueLength: 255, longCharacter: "\u4e00" };
/** The minimum that an agent holds, and more than any events except a flood. */
const EVENTS = { fewest: 1000, perTry: 3 };
/** A kernel that QEMU refuses to load. */
export const BROKEN_KERNEL = "broken-kernel";

/** A method of the contract, from the generated definitions. */
export interface Method<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (request: Request) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

/** A caller with a tenant's certificate, or the operator. */
export class TenantCaller {
  readonly tenant: string;
  readonly issued: Issued | undefined;
  readonly #caller: Caller;

  constructor(tenant: string, caller: Caller, issued?: Issued) {
    this.tenant = tenant;
    this.issued = issued;
    this.#caller = caller;
  }

  async ask<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    options: Parameters<Caller["call"]>[2] = {},
  ): Promise<Answer & { readonly response: Response | undefined }> {
    const answer = await this.#caller.call(method.path, method.requestSerialize(request), options);
    const { bytes } = answer;
    return { ...answer, response: bytes === undefined ? undefined : method.responseDeserialize(bytes) };
  }

  /** The reply; throws an error reply. */
  async get<Request, Response>(method: Method<Request, Response>, request: Request): Promise<Response> {
    const { response, code, reason, message } = await this.ask(method, request);
    if (response === undefined) throw new Error(`${method.path}: ${status[code]} ${reason} ${message}`);
    return response;
  }

  /** The answer to any bytes. */
  call(path: string, request: Buffer): Promise<Answer> {
    return this.#caller.call(path, request);
  }

  close(): void {
    this.#caller.close();
  }
}

export interface Tenant {
  readonly name: string;
  readonly caller: TenantCaller;
  /** Its running VM. */
  readonly vm: Vm__Output;
}

export interface HostileTenant extends Tenant {
  readonly mostKept: number;
  /** A caller of its own with another role. */
  readonly as: (role: Role) => Promise<TenantCaller>;
}

/** A host with a victim and hostile tenants, each with its own certificate and a running VM. */
export class TenantsStage {
  readonly run: CampaignRun;
  readonly host: FaultyHost;
  readonly contract: Contract;
  readonly authority: Authority;
  readonly address: string;
  readonly operator: TenantCaller;
  readonly victim: Tenant;
  readonly victimProcess: GuestProcess;
  readonly belongings: Belongings;
  readonly hostile: readonly HostileTenant[];
  /** A caller of a tenant without VMs that may use what hostile tenants may not. */
  readonly permitted: TenantCaller;
  /** Before the first VM; monotonic. */
  readonly startedMs: number;

  private constructor(
    parts: Omit<TenantsStage, "ended" | "hoarders" | "others" | "auditBytes" | "auditText">,
  ) {
    ({
      run: this.run,
      host: this.host,
      contract: this.contract,
      authority: this.authority,
      address: this.address,
      operator: this.operator,
      victim: this.victim,
      victimProcess: this.victimProcess,
      belongings: this.belongings,
      hostile: this.hostile,
      permitted: this.permitted,
      startedMs: this.startedMs,
    } = parts);
  }

  get hoarders(): readonly HostileTenant[] {
    return this.hostile.filter(({ mostKept }) => mostKept === KEPT_BY_HOARDERS);
  }

  get others(): readonly HostileTenant[] {
    return this.hostile.filter(({ mostKept }) => mostKept !== KEPT_BY_HOARDERS);
  }

  /** `bundle`: by default this tree's. `tenants`: how many hostile ones. */
  static async start(
    run: CampaignRun,
    { bundle, tenants = HOSTILE }: { readonly bundle?: string; readonly tenants?: number } = {},
  ): Promise<TenantsStage> {
    const trustDirectory = await mkdtemp(join(tmpdir(), "socle-tenants-trust-"));
    run.cleanUp(() => rm(trustDirectory, { recursive: true, force: true }));
    const authority = await Authority.make(DOMAIN);
    const list = await authority.revocationList();
    await installTrust(trustDirectory, authority, await authority.issue("agent/host-1"), list);
    const port = await freePort();
    const startedMs = performance.now();
    const host = await FaultyHost.start(run, {
      ...(bundle === undefined ? {} : { bundle }),
      config: {
        trust: { domain: DOMAIN, directory: trustDirectory },
        api: { listen: `127.0.0.1:${port}` },
        state: { maxEvents: EVENTS.fewest + EVENTS.perTry * run.count },
        host: { dedicatedCpus: String(DEDICATED_CPU) },
        // The provider may use both, so only the tenants' allow-lists keep tenants from them.
        vm: { bridges: [HOST_BRIDGE], allowSpoofing: true },
        tenants: {
          default: { networks: [COMMON_NETWORK], quotas: QUOTA },
          byName: {
            victim: {
              networks: [VICTIM_NETWORK],
              addresses: [VICTIM_ADDRESS],
              // Enough for the campaign itself; the default applies to hostile tenants.
              quotas: { vms: 8, keptOperations: 5000 },
            },
            [PERMITTED]: {
              devices: [HOST_DEVICE],
              hugePages: true,
              dedicatedCpus: true,
              quotas: { vms: null, vcpus: null, memoryMiB: null, diskMiB: null },
            },
            ...Object.fromEntries(
              hostileNames
                .slice(-HOARDERS)
                .map((name) => [name, { quotas: { keptOperations: KEPT_BY_HOARDERS } }]),
            ),
          },
        },
      },
    });
    for (const network of [COMMON_NETWORK, VICTIM_NETWORK]) {
      const path = join(host.libvirtd.directory, `${network}.xml`);
      await writeFile(path, `<network><name>${network}</name></network>`);
      await host.witness.virsh("net-define", path);
    }
    await writeFile(join(host.libvirtd.imagesDirectory, BROKEN_KERNEL), "no kernel at all");
    await host.witness.virsh("pool-refresh", "images");
    const contract = loadContract(protoDirectory);
    const address = `127.0.0.1:${port}`;
    const socket = `unix:${host.agent.socketPath}`;
    const operator = new TenantCaller("", new Caller(socket, credentials.createInsecure(), contract));
    run.cleanUp(() => operator.close());
    const callerOf = async (name: string, role: Role = "scheduler"): Promise<TenantCaller> => {
      const issued = await authority.issue(`${role}/${name}/tenant/${name}`);
      const by = credentialsOf(secureOptions(authority.certificatePem, issued));
      const caller = new TenantCaller(name, new Caller(address, by, contract), issued);
      run.cleanUp(() => caller.close());
      return caller;
    };
    const join_ = async (name: string, spec: Partial<VmSpec>): Promise<Tenant> => {
      const caller = await callerOf(name);
      const request = { requestId: randomUUID(), spec: { ...guest(`${name}-1`), ...spec } };
      const operation = await caller.get(contract.vms.CreateVm, request);
      await finished(operator, contract, operation.operationId);
      return { name, caller, vm: await caller.get(contract.vms.GetVm, { vm: operation.vmId }) };
    };
    const victim = await join_("victim", { labels: { secret: "of-the-victim" } });
    const victimProcess = await host.witness.process(victim.vm.vmId);
    if (victimProcess === undefined) throw new Error("there is no QEMU of the victim's VM");
    const belongings = await makeBelongings(victim.name, {
      contract,
      vm: victim.vm,
      get: (method, request) => victim.caller.get(method, request),
      succeeded: ({ operationId }) => finished(operator, contract, operationId),
    });
    const hostile: HostileTenant[] = [];
    for (const name of hostileNames.slice(0, tenants)) {
      const isHoarder = hostileNames.indexOf(name) >= hostileNames.length - HOARDERS;
      const mostKept = isHoarder ? KEPT_BY_HOARDERS : QUOTA.keptOperations;
      const tenant = await join_(name, { labels: longLabels });
      const byRole = new Map<Role, Promise<TenantCaller>>([["scheduler", Promise.resolve(tenant.caller)]]);
      const as = (role: Role): Promise<TenantCaller> => {
        const caller = byRole.get(role) ?? callerOf(name, role);
        byRole.set(role, caller);
        return caller;
      };
      hostile.push({ ...tenant, mostKept, as });
    }
    return new TenantsStage({
      run,
      host,
      contract,
      authority,
      address,
      operator,
      victim,
      victimProcess,
      belongings,
      hostile,
      permitted: await callerOf(PERMITTED),
      startedMs,
    });
  }

  /** The end of an operation, read by the operator. */
  ended(operationId: string): ReturnType<typeof finished> {
    return finished(this.operator, this.contract, operationId, false);
  }

  async auditBytes(): Promise<number> {
    const sizes = await Promise.all((await this.#auditFiles()).map(async (path) => (await stat(path)).size));
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  async auditText(): Promise<string> {
    const texts = (await this.#auditFiles()).map((path) => readFile(path, "utf8"));
    return (await Promise.all(texts)).join("\n");
  }

  async #auditFiles(): Promise<string[]> {
    const directory = join(this.host.agent.directory, "state/audit");
    return (await readdir(directory, { withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map(({ name }) => join(directory, name));
  }
}

export const BOOT_DISK: Disk = {
  name: "boot",
  volume: { pool: "images", volume: "bootsector.img" },
  readOnly: true,
};

const longLabels = Object.fromEntries(
  Array.from({ length: LABELS.count }, (_, at) => [
    String(at).padStart(LABELS.keyLength, "k"),
    LABELS.longCharacter.repeat(LABELS.valueLength),
  ]),
);

/** A guest that prints and halts, with its own small disk. */
export const guest = (name: string): VmSpec => ({
  name,
  vcpus: 1,
  memoryBytes: 32 * MIB,
  disks: [
    BOOT_DISK,
    { name: "data", newVolume: { pool: "images", capacityBytes: MIB, format: "DISK_FORMAT_QCOW2" } },
  ],
});

async function finished(
  operator: TenantCaller,
  { operations }: Contract,
  operationId: string,
  mustSucceed = true,
) {
  let operation = await operator.get(operations.GetOperation, { operationId });
  await eventually(
    async () => {
      operation = await operator.get(operations.WaitOperation, { operationId, timeout: { seconds: 5 } });
      return operation.done;
    },
    { what: `operation ${operationId} to end`, timeoutMs: 120_000, intervalMs: 0 },
  );
  if (mustSucceed && operation.state !== "STATE_SUCCEEDED")
    throw new Error(`${operation.kind} ended ${operation.state}: ${operation.error?.message ?? ""}`);
  return operation;
}
