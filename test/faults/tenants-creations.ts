import { randomUUID } from "node:crypto";
import { status } from "@grpc/grpc-js";
import type { CreateVmRequest } from "../../agent/gen/socle/v1/CreateVmRequest.ts";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import type { VmSpec } from "../../agent/gen/socle/v1/VmSpec.ts";
import type { Answer } from "./attack-calls.ts";
import {
  isCausedBy,
  judge,
  describeAnswer,
  type Act,
  type Cause,
  type RefusedCreation,
} from "./tenants-act.ts";
import { exclusiveHoldings } from "./tenants-domains.ts";
import {
  COMMON_NETWORK,
  guest,
  HOST_BRIDGE,
  HOST_DEVICE,
  MIB,
  QUOTA,
  VICTIM_ADDRESS,
  VICTIM_NETWORK,
  type Tenant,
  type TenantCaller,
  type TenantsStage,
} from "./tenants-stage.ts";

const HUGE_PAGE_BYTES = 2 * MIB;

export const small = (tenant: Tenant, more: Partial<VmSpec>): VmSpec => ({
  ...guest(`${tenant.name}-${randomUUID().slice(0, 8)}`),
  tenant: tenant.name,
  ...more,
});

export async function create(
  stage: TenantsStage,
  caller: TenantCaller,
  spec: VmSpec,
  more: Partial<CreateVmRequest> = {},
): Promise<Answer & { readonly response: Operation__Output | undefined }> {
  const request: CreateVmRequest = { requestId: randomUUID(), spec, leaveStopped: true, ...more };
  return caller.ask(stage.contract.vms.CreateVm, request);
}

const denied = (reason: string, metadata: Readonly<Record<string, string>> = {}): Cause => ({
  code: status.PERMISSION_DENIED,
  reason,
  metadata,
});

export const overQuota = (dimension: string): Cause => ({
  code: status.RESOURCE_EXHAUSTED,
  reason: "TENANT_QUOTA_EXCEEDED",
  metadata: { dimension },
});

const lacking = (dimension: string): Cause => ({
  code: status.RESOURCE_EXHAUSTED,
  reason: "NO_CAPACITY",
  metadata: { dimension },
});

const inUse: Cause = { code: status.FAILED_PRECONDITION, reason: "VOLUME_IN_USE" };

interface Attempt {
  readonly what: string;
  readonly cause: Cause;
  readonly spec: (stage: TenantsStage) => Partial<VmSpec>;
  readonly butFor?: Cause;
}

const attempts = (
  dimension: string,
  allowedTo: RefusedCreation["allowedTo"],
  all: readonly Attempt[],
): readonly Act[] =>
  all.map(({ what, cause, spec, ...more }) => {
    const whole: RefusedCreation["spec"] = (stage, tenant) => small(tenant, spec(stage));
    return {
      dimension,
      what,
      creation: { spec: whole, allowedTo, ...more },
      attack: async (stage, tenant) => judge(await create(stage, tenant.caller, whole(stage, tenant)), cause),
    };
  });

const nic = (more: object): Partial<VmSpec> => ({ nics: [{ name: "n", network: COMMON_NETWORK, ...more }] });

const victimsVolume = ({ victim }: TenantsStage): { pool: string; volume: string } => ({
  pool: "images",
  volume: `socle-${victim.vm.vmId}-data.qcow2`,
});

export const creations: readonly Act[] = [
  ...attempts("networks", "operator", [
    {
      what: "a NIC on the victim's network",
      cause: denied("NETWORK_NOT_ALLOWED", { network: VICTIM_NETWORK }),
      spec: () => nic({ network: VICTIM_NETWORK }),
    },
    {
      what: "a NIC on a bridge of the host",
      cause: denied("NETWORK_NOT_ALLOWED", { bridge: HOST_BRIDGE }),
      spec: () => ({ nics: [{ name: "n", bridge: HOST_BRIDGE }] }),
    },
  ]),
  ...attempts("addresses", "operator", [
    {
      what: "the victim's address",
      cause: denied("ADDRESS_NOT_ALLOWED", { address: VICTIM_ADDRESS }),
      spec: () => nic({ allowedAddresses: [VICTIM_ADDRESS] }),
    },
    { what: "any address that the guest takes", cause: denied("ADDRESS_REQUIRED"), spec: () => nic({}) },
    {
      what: "a chosen MAC address",
      cause: denied("MAC_NOT_ALLOWED", { mac: "52:54:00:66:00:07" }),
      spec: () => nic({ mac: "52:54:00:66:00:07" }),
    },
    {
      what: "a NIC without the anti-spoofing filter",
      cause: denied("SPOOFING_NOT_ALLOWED", { nic: "n" }),
      spec: () => nic({ allowSpoofing: true }),
    },
  ]),
  ...attempts("devices", "permitted tenant", [
    {
      what: "a device of the host",
      cause: denied("DEVICE_NOT_ALLOWED", { device: HOST_DEVICE }),
      spec: () => ({ placement: { devices: [HOST_DEVICE] } }),
      butFor: { code: status.INVALID_ARGUMENT, reason: "NO_SUCH_DEVICE" },
    },
    {
      what: "huge pages",
      cause: denied("HUGE_PAGES_NOT_ALLOWED", { page_size_bytes: String(HUGE_PAGE_BYTES) }),
      spec: () => ({ placement: { pageSizeBytes: HUGE_PAGE_BYTES } }),
      butFor: lacking("memory_2m"),
    },
    {
      what: "dedicated CPUs",
      cause: denied("DEDICATED_CPUS_NOT_ALLOWED"),
      spec: () => ({ placement: { dedicatedCpus: true } }),
    },
  ]),
  ...attempts("volumes", "operator", [
    {
      what: "the victim's disk, to write",
      cause: denied("VOLUME_DENIED"),
      spec: (stage) => ({ disks: [{ name: "d", volume: victimsVolume(stage) }] }),
      butFor: inUse,
    },
    {
      what: "the victim's disk, to read",
      cause: denied("VOLUME_DENIED"),
      spec: (stage) => ({ disks: [{ name: "d", volume: victimsVolume(stage), readOnly: true }] }),
      butFor: inUse,
    },
    {
      what: "an overlay of the victim's disk",
      cause: denied("VOLUME_DENIED"),
      spec: (stage) => ({
        disks: [{ name: "d", newVolume: { pool: "images", baseVolume: victimsVolume(stage).volume } }],
      }),
      butFor: inUse,
    },
  ]),
  ...attempts("quota", "permitted tenant", [
    {
      what: "more vCPUs than its quota",
      cause: overQuota("vcpus"),
      spec: () => ({ vcpus: QUOTA.vcpus }),
    },
    {
      what: "more memory than its quota",
      cause: overQuota("memory"),
      spec: () => ({ memoryBytes: QUOTA.memoryMiB * MIB }),
    },
    {
      what: "more disk than its quota",
      cause: overQuota("disk"),
      spec: () => ({
        disks: [{ name: "d", newVolume: { pool: "images", capacityBytes: QUOTA.diskMiB * MIB } }],
      }),
    },
  ]),
  ...attempts("identity", "operator", [
    { what: "a VM of the victim", cause: denied("TENANT_DENIED"), spec: () => ({ tenant: "victim" }) },
  ]),
];

/**
 * A refused request is valid otherwise: a permitted caller passes that check with the same request. Without this check the
 * refusals would prove nothing.
 */
export async function proveCreations(stage: TenantsStage): Promise<void> {
  const { operator, permitted, run } = stage;
  const [tenant] = stage.hostile;
  if (tenant === undefined) throw new Error("there is no hostile tenant");
  for (const { dimension, what, creation } of creations) {
    if (creation === undefined) continue;
    const { allowedTo, butFor } = creation;
    const caller = allowedTo === "operator" ? operator : permitted;
    const spec = creation.spec(stage, tenant);
    if (allowedTo === "permitted tenant") spec.tenant = caller.tenant;
    const answer = await create(stage, caller, spec, { validateOnly: true });
    run.demand(
      answer.code === status.OK || (butFor !== undefined && isCausedBy(answer, butFor)),
      `${dimension}: ${what}: is refused to the ${allowedTo} too, so the refusal proves nothing: ${describeAnswer(answer)}`,
    );
  }
  await proveSight(stage);
}

/** A VM with permitted dedicated CPUs is seen to have them. Without this check the check of other VMs would prove nothing. */
async function proveSight(stage: TenantsStage): Promise<void> {
  const { permitted, contract, host, operator, run } = stage;
  const spec = { ...guest("permitted-1"), placement: { dedicatedCpus: true } };
  const { response, ...answer } = await create(stage, permitted, spec);
  if (response === undefined) throw new Error(`the permitted tenant is refused: ${describeAnswer(answer)}`);
  const { operationId, vmId } = response;
  await stage.ended(operationId);
  const seen = exclusiveHoldings(await host.witness.virsh("dumpxml", "--inactive", vmId));
  run.demand(seen.includes("dedicated CPUs"), `virsh shows ${seen.join()} of a VM with dedicated CPUs`);
  const gone = { requestId: randomUUID(), vm: vmId, force: true };
  await stage.ended((await operator.get(contract.vms.DeleteVm, gone)).operationId);
}
