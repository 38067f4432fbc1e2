import { randomUUID } from "node:crypto";
import { connect, constants } from "node:http2";
import { status } from "@grpc/grpc-js";
import type { CreateVmRequest } from "../../agent/gen/socle/v1/CreateVmRequest.ts";
import type { VmSpec } from "../../agent/gen/socle/v1/VmSpec.ts";
import type { Answer } from "./attack-calls.ts";
import type { Outcome } from "./attack-tries.ts";
import {
  BROKEN_KERNEL,
  COMMON_NETWORK,
  guest,
  MIB,
  QUOTA,
  VICTIM_ADDRESS,
  VICTIM_NETWORK,
  type Tenant,
  type TenantsStage,
} from "./tenants-stage.ts";

/** One way in which a tenant harms another or takes what is not its own. */
export interface Act {
  readonly dimension: string;
  readonly what: string;
  /** A creation that is refused for the tenant and is otherwise sound: the operator may make it. */
  readonly spec?: (stage: TenantsStage, tenant: Tenant) => VmSpec;
  readonly attack: (stage: TenantsStage, tenant: Tenant) => Promise<Outcome>;
}

const REFUSALS: ReadonlySet<status> = new Set([
  status.PERMISSION_DENIED,
  status.RESOURCE_EXHAUSTED,
  status.NOT_FOUND,
  status.INVALID_ARGUMENT,
  status.FAILED_PRECONDITION,
  status.ABORTED,
  status.ALREADY_EXISTS,
  status.OUT_OF_RANGE,
]);

function judge({ code, reason, message }: Answer): Outcome {
  if (REFUSALS.has(code)) return "refused";
  return { letThrough: `answered ${status[code]} ${reason} ${message}` };
}

/** Requests at once of one tenant, within what a scheduler may have in flight. */
const BURST = 40;
const UNREAD_STREAMS = 30;
const LONG_FIELD = "x".repeat(100_000);

const small = (tenant: Tenant, more: Partial<VmSpec>): VmSpec => ({
  ...guest(`${tenant.name}-${randomUUID().slice(0, 8)}`),
  tenant: tenant.name,
  ...more,
});

/** A creation that must be refused. */
const creation = (
  dimension: string,
  what: string,
  spec: (stage: TenantsStage, tenant: Tenant) => Partial<VmSpec>,
): Act => {
  const whole = (stage: TenantsStage, tenant: Tenant): VmSpec => small(tenant, spec(stage, tenant));
  return {
    dimension,
    what,
    spec: whole,
    attack: async (stage, tenant) => judge(await create(stage, tenant, whole(stage, tenant))),
  };
};

async function create(stage: TenantsStage, { caller }: Tenant, spec: VmSpec): Promise<Answer> {
  const request: CreateVmRequest = { requestId: randomUUID(), spec, leaveStopped: true };
  return caller.ask(stage.contract.vms.CreateVm, request);
}

const nic = (more: object): Partial<VmSpec> => ({ nics: [{ name: "n", network: COMMON_NETWORK, ...more }] });

const victimsVolume = ({ victim }: TenantsStage): { pool: string; volume: string } => ({
  pool: "images",
  volume: `socle-${victim.vm.vmId}-data.qcow2`,
});

export const acts: readonly Act[] = [
  creation("networks", "a NIC on the victim's network", () => ({
    nics: [{ name: "n", network: VICTIM_NETWORK }],
  })),
  creation("networks", "a NIC on a bridge of the host", () => ({ nics: [{ name: "n", bridge: "virbr0" }] })),
  creation("addresses", "the victim's address", () => nic({ allowedAddresses: [VICTIM_ADDRESS] })),
  creation("addresses", "any address that the guest takes", () => nic({})),
  creation("addresses", "a MAC of its own choice", () => nic({ mac: "52:54:00:66:00:07" })),
  creation("addresses", "a NIC without the anti-spoofing filter", () => nic({ allowSpoofing: true })),
  creation("devices", "a device of the host", () => ({ placement: { devices: ["0000:00:01.0"] } })),
  creation("devices", "huge pages", () => ({ placement: { pageSizeBytes: 2 * MIB } })),
  creation("devices", "dedicated CPUs", () => ({ placement: { dedicatedCpus: true } })),
  creation("volumes", "the victim's disk, to write", (stage) => ({
    disks: [{ name: "d", volume: victimsVolume(stage) }],
  })),
  creation("volumes", "the victim's disk, to read", (stage) => ({
    disks: [{ name: "d", volume: victimsVolume(stage), readOnly: true }],
  })),
  creation("volumes", "an overlay of the victim's disk", (stage) => ({
    disks: [{ name: "d", newVolume: { pool: "images", baseVolume: victimsVolume(stage).volume } }],
  })),
  creation("quota", "more vCPUs than its quota", () => ({ vcpus: QUOTA.vcpus })),
  creation("quota", "more memory than its quota", () => ({ memoryBytes: QUOTA.memoryMiB * MIB })),
  creation("quota", "more disk than its quota", () => ({
    disks: [{ name: "d", newVolume: { pool: "images", capacityBytes: QUOTA.diskMiB * MIB } }],
  })),
  creation("identity", "a VM of the victim", () => ({ tenant: "victim" })),
  {
    dimension: "quota",
    what: "more VMs than its quota, all at once",
    async attack(stage, tenant) {
      const specs = Array.from({ length: QUOTA.vms + 2 }, () => small(tenant, { disks: [] }));
      const answers = await Promise.all(specs.map((spec) => create(stage, tenant, spec)));
      const made = answers.filter(({ code }) => code === status.OK);
      for (const { bytes } of made) {
        const { vmId, operationId } = stage.contract.vms.CreateVm.responseDeserialize(
          bytes ?? Buffer.alloc(0),
        );
        await stage.ended(operationId);
        const gone = { requestId: randomUUID(), vm: vmId, force: true };
        await stage.ended((await stage.operator.get(stage.contract.vms.DeleteVm, gone)).operationId);
      }
      // One of its VMs runs since the beginning.
      if (made.length <= QUOTA.vms - 1) return "refused";
      return { letThrough: `${made.length + 1} VMs of ${QUOTA.vms}` };
    },
  },
  ...(["StopVm", "StartVm", "RebootVm", "PauseVm", "ResumeVm", "DeleteVm"] as const).map((method): Act => ({
    dimension: "identity",
    what: `${method} of the victim's VM`,
    async attack(stage, { caller }) {
      const { vmId, name } = stage.victim.vm;
      for (const vm of [vmId, name]) {
        const request = { requestId: randomUUID(), vm, force: true };
        const answer = await caller.ask(stage.contract.vms[method], request);
        if (judge(answer) !== "refused") return judge(answer);
      }
      return "refused";
    },
  })),
  {
    dimension: "identity",
    what: "a read of the victim's VM, alone and in the list",
    async attack(stage, { caller }) {
      const { vms } = stage.contract;
      const one = await caller.ask(vms.GetVm, { vm: stage.victim.vm.vmId });
      const list = await caller.get(vms.ListVms, { pageSize: 1000 });
      if (list.vms.some(({ tenant }) => tenant !== caller.tenant))
        return { letThrough: "ListVms shows VMs of others" };
      return judge(one);
    },
  },
  {
    dimension: "operations",
    what: "the cancellation of an operation that the provider began",
    async attack(stage, { caller, vm }) {
      const { vms, operations } = stage.contract;
      const stop = { requestId: randomUUID(), vm: vm.vmId, gracefulTimeout: { seconds: 60 } };
      const begun = await stage.operator.ask(vms.StopVm, stop);
      // Another of this tenant's tries may have left the VM with as many operations as it may have.
      if (begun.response === undefined) return "inert";
      const { operationId } = begun.response;
      const answer = await caller.ask(operations.CancelOperation, { operationId });
      await stage.operator.ask(operations.CancelOperation, { operationId });
      await stage.ended(operationId);
      return judge(answer);
    },
  },
  {
    dimension: "kept operations",
    what: "operations until there is no more room for its own",
    async attack(stage, { caller, vm }) {
      const { vms } = stage.contract;
      for (let at = 0; at < BURST; at += 1) {
        const method = at % 2 === 0 ? vms.PauseVm : vms.ResumeVm;
        await caller.ask(method, { requestId: randomUUID(), vm: vm.vmId });
      }
      return "inert";
    },
  },
  {
    dimension: "events",
    what: "many changes of state of its VM",
    async attack(stage, { vm }) {
      for (let at = 0; at < 5; at += 1) {
        // An operation of another act may pause or resume the VM meanwhile: virsh is refused then.
        await stage.host.witness.virsh("suspend", vm.vmId).catch(() => undefined);
        await stage.host.witness.virsh("resume", vm.vmId).catch(() => undefined);
      }
      return "inert";
    },
  },
  {
    dimension: "rates",
    what: "many reads at once",
    async attack(stage, { caller, vm }) {
      const { vms } = stage.contract;
      await Promise.all(Array.from({ length: BURST }, () => caller.ask(vms.GetVm, { vm: vm.vmId })));
      return "inert";
    },
  },
  {
    dimension: "audit",
    what: "failing changes with long fields",
    async attack(stage, { caller }) {
      const { vms } = stage.contract;
      const refuse = () => caller.ask(vms.StopVm, { requestId: randomUUID(), vm: LONG_FIELD });
      const answers = await Promise.all(Array.from({ length: BURST }, refuse));
      return answers.map(judge).find((outcome) => outcome !== "refused") ?? "refused";
    },
  },
  {
    dimension: "control epoch",
    what: "a control epoch that would lock the provider out",
    async attack(stage, { caller, vm }) {
      const { vms, host } = stage.contract;
      const metadata = { "socle-control-epoch": String(Number.MAX_SAFE_INTEGER) };
      await caller.ask(vms.GetVm, { vm: vm.vmId }, { metadata });
      await caller.ask(vms.ResumeVm, { requestId: randomUUID(), vm: vm.vmId }, { metadata });
      await caller.ask(host.GetHost, {}, { metadata });
      const pause = { requestId: randomUUID(), vm: stage.victim.vm.vmId };
      // The victim's own scheduler has a low epoch.
      const { code, reason, response } = await stage.victim.caller.ask(vms.ResumeVm, pause);
      if (response !== undefined) await stage.ended(response.operationId);
      return reason === "CONTROL_EPOCH_STALE"
        ? { letThrough: `the victim's scheduler is refused: ${status[code]} ${reason}` }
        : "refused";
    },
  },
  {
    dimension: "failing starts",
    what: "a VM that cannot start for its own kernel",
    async attack(stage, tenant) {
      const kernelBoot = { kernel: { pool: "images", volume: BROKEN_KERNEL } };
      const request = { requestId: randomUUID(), spec: small(tenant, { disks: [], kernelBoot }) };
      const { response } = await tenant.caller.ask(stage.contract.vms.CreateVm, request);
      if (response !== undefined) await stage.ended(response.operationId);
      return "inert";
    },
  },
  {
    dimension: "memory",
    what: "answers that nobody reads",
    attack: (stage, tenant) => unread(stage, tenant),
  },
];

/** Many lists of which not a byte is taken, until the connection is cut. */
function unread(stage: TenantsStage, { caller, vm }: Tenant): Promise<Outcome> {
  const { issued } = caller;
  if (issued === undefined) throw new Error("the operator reads what it asks for");
  const { vms } = stage.contract;
  const session = connect(`https://${stage.address}`, {
    ca: stage.authority.certificatePem,
    cert: issued.certificatePem,
    key: issued.keyPem,
    checkServerIdentity: () => undefined,
    settings: { initialWindowSize: 0 },
  });
  const body = vms.GetVm.requestSerialize({ vm: vm.vmId });
  const frame = Buffer.concat([Buffer.from([0, 0, 0, 0, body.length]), body]);
  return new Promise((resolve) => {
    session.on("error", () => undefined);
    let left = UNREAD_STREAMS;
    for (let at = 0; at < UNREAD_STREAMS; at += 1) {
      const stream = session.request({
        [constants.HTTP2_HEADER_METHOD]: "POST",
        [constants.HTTP2_HEADER_PATH]: vms.GetVm.path,
        "content-type": "application/grpc",
        te: "trailers",
      });
      const over = (): void => {
        left -= 1;
        if (left === 0) session.destroy();
      };
      stream.on("error", () => undefined);
      // The headers of the answer come although its bytes are not taken: the agent has made it by then.
      stream.once("response", over);
      stream.once("close", over);
      stream.end(frame);
    }
    session.once("close", () => resolve("inert"));
    session.setTimeout(30_000, () => session.destroy());
  });
}
