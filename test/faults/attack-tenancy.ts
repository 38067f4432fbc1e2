import { randomBytes, randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import type { Nic } from "../../agent/gen/socle/v1/Nic.ts";
import type { PlacementRequest } from "../../agent/gen/socle/v1/PlacementRequest.ts";
import type { VmSpec } from "../../agent/gen/socle/v1/VmSpec.ts";
import { bootSector, linux } from "../support/socle-host.ts";
import { virsh } from "../support/virsh.ts";
import { eventually } from "../support/wait.ts";
import type { Answer, Caller } from "./attack-calls.ts";
import type { Stage } from "./attack-stage.ts";
import type { Outcome, Theme, Try } from "./attack-runner.ts";

const TENANT = "evil";
const VMS = 3;
const VICTIMS_MAC = "52:54:00:aa:00:01";
const VICTIMS_ADDRESS = "10.77.0.1";
const END_WITHIN_MS = 60_000;

/** The attacking tenant's rights on the stage's agent. */
export const attackersRules = {
  networks: ["shared"],
  macAddresses: ["52:54:00"],
  addresses: ["10.77.0.0/24"],
  quotas: { vms: VMS, vcpus: 8, memoryMiB: 1024, diskMiB: 64 },
};

/** A tenant's own scheduler that requests networks, addresses, devices, capacity and operations of others. */
export async function tenancy(stage: Stage): Promise<Theme> {
  const { host, contract, authority } = stage;
  const evil = stage.callerOf(await authority.issue(`scheduler/e/tenant/${TENANT}`));
  const create = (spec: VmSpec, more: { leaveStopped?: boolean; validateOnly?: boolean } = {}) =>
    evil.call(
      contract.vms.CreateVm.path,
      contract.vms.CreateVm.requestSerialize({
        requestId: randomUUID(),
        leaveStopped: true,
        spec,
        ...more,
      }),
    );
  const { disks: boot = [] } = bootSector("victim");
  const victim = await provides(
    stage,
    bootSector("victim", {
      tenant: "victim",
      disks: [...boot, { name: "data", newVolume: { pool: "images", capacityBytes: 2 ** 20 } }],
      nics: [{ name: "net", network: "shared", mac: VICTIMS_MAC, allowedAddresses: [VICTIMS_ADDRESS] }],
    }),
    true,
  );
  const guest = await provides(stage, bootSector("evil-guest", { tenant: TENANT }), false);

  const tries: Try[] = [];
  const denied = (what: string, spec: VmSpec, reason: string, code = status.PERMISSION_DENIED): void => {
    for (const validateOnly of [false, true])
      tries.push({
        what: `${what}${validateOnly ? ", to validate only" : ""}`,
        attack: async () => isRefused(await create(spec, { validateOnly }), code, reason),
      });
  };
  const withNic = (nic: Nic): VmSpec =>
    bootSector("evil-nic", {
      nics: [{ name: "net", network: "shared", allowedAddresses: ["10.77.0.2"], ...nic }],
    });
  denied("a network of others", withNic({ network: "management" }), "NETWORK_NOT_ALLOWED");
  denied("a MAC address of others' range", withNic({ mac: "02:00:00:00:00:01" }), "MAC_NOT_ALLOWED");
  denied("an address of others' range", withNic({ allowedAddresses: ["10.78.0.1"] }), "ADDRESS_NOT_ALLOWED");
  denied("any address that the guest takes", withNic({ allowedAddresses: [] }), "ADDRESS_REQUIRED");
  const { FAILED_PRECONDITION, RESOURCE_EXHAUSTED } = status;
  denied("the victim's MAC address", withNic({ mac: VICTIMS_MAC }), "MAC_IN_USE", FAILED_PRECONDITION);
  denied(
    "the victim's address",
    withNic({ allowedAddresses: [VICTIMS_ADDRESS] }),
    "ADDRESS_IN_USE",
    FAILED_PRECONDITION,
  );
  const placed = (placement: PlacementRequest): VmSpec => bootSector("evil-placed", { placement });
  denied("a device", placed({ devices: ["0000:00:1f.2"] }), "DEVICE_NOT_ALLOWED");
  denied("huge pages", placed({ pageSizeBytes: 2 * 2 ** 20 }), "HUGE_PAGES_NOT_ALLOWED");
  denied("dedicated CPUs", placed({ dedicatedCpus: true }), "DEDICATED_CPUS_NOT_ALLOWED");
  const exceeding: readonly (readonly [string, VmSpec])[] = [
    ["vcpus", { vcpus: 9 }],
    ["memory", { memoryBytes: 2048 * 2 ** 20 }],
    [
      "disk",
      {
        disks: [{ name: "d", newVolume: { pool: "images", capacityBytes: 65 * 2 ** 20 } }],
      },
    ],
  ];
  for (const [dimension, more] of exceeding)
    denied(
      `more ${dimension} than the quota`,
      bootSector("evil-large", more),
      "TENANT_QUOTA_EXCEEDED",
      RESOURCE_EXHAUSTED,
    );

  tries.push(
    {
      what: "many creations at once, for more VMs than the quota",
      attack: async () => {
        const names = Array.from({ length: 4 * VMS }, (_, index) => `evil-many-${index}`);
        const answers = await Promise.all(names.map((name) => create(bootSector(name))));
        const left = VMS - 1;
        const taken = answers.filter(({ code }) => code === status.OK).length;
        const others = answers.filter(
          ({ code, reason }) => code !== status.OK && reason !== "TENANT_QUOTA_EXCEEDED",
        );
        if (others.length > 0) throw new Error(`it is refused otherwise: ${JSON.stringify(others[0])}`);
        await host.untilListed(
          (vms) => vms.filter(({ tenant }) => tenant === TENANT).length === VMS,
          "as many VMs as the quota allows",
        );
        return taken === left ? "refused" : { letThrough: `${taken} VMs were taken where ${left} were left` };
      },
    },
    {
      what: "the victim in the lists of pools, volumes and networks",
      attack: () => listing(stage, evil, victim),
    },
    { what: "three starts that fail for the tenant's own kernel", attack: () => failingStarts(stage) },
    {
      what: "cancelling and cutting short what the provider does to the tenant's VM",
      attack: () => overruling(stage, evil, guest),
    },
  );
  return {
    name: "tenancy",
    tries,
    check: async () => {
      evil.close();
      for (const { vmId, tenant } of (await host.list()).vms)
        if ([TENANT, "victim"].includes(tenant))
          await host.succeeds({ kind: "DELETE", vm: vmId, requestId: randomUUID() });
    },
  };
}

function isRefused({ code, reason, message }: Answer, as: status, why: string): Outcome {
  if (code === as && reason === why) return "refused";
  return { letThrough: `it is not refused as ${why}: ${status[code]} ${reason} ${message}` };
}

/** The provider creates a VM for a tenant. */
async function provides({ host, contract }: Stage, spec: VmSpec, leaveStopped: boolean): Promise<string> {
  const request = { requestId: randomUUID(), spec, leaveStopped };
  const end = await host.ended(await host.client.ask(contract.vms.CreateVm, request), END_WITHIN_MS);
  if (end.state !== "STATE_SUCCEEDED") throw new Error(host.describe(end));
  return end.vmId;
}

/** The provider sees the victim's volume, and the tenant nothing of it. */
async function listing({ host, contract }: Stage, evil: Caller, victim: string): Promise<Outcome> {
  const { storage, networks } = contract;
  await virsh(host.libvirtd.uri, ["pool-refresh", "images"]);
  const sees = async (): Promise<boolean> => {
    const { volumes } = await host.client.ask(storage.ListVolumes, {});
    return volumes.some(({ vmId, users }) => vmId === victim && users.includes(victim));
  };
  await eventually(sees, { what: "the provider to see the victim's volume", timeoutMs: END_WITHIN_MS });
  for (const { path, requestSerialize } of [storage.ListVolumes, storage.ListPools, networks.ListNetworks]) {
    const { bytes, message } = await evil.call(path, requestSerialize({}));
    if (bytes === undefined) throw new Error(`a tenant may call ${path}: ${message}`);
    if (bytes.includes(victim)) return { letThrough: `${path} names the victim` };
    if (bytes.includes("management")) return { letThrough: `${path} names a network of others` };
  }
  return "refused";
}

async function failingStarts({ host, contract }: Stage): Promise<Outcome> {
  const kernel = { pool: "images", volume: "evil-kernel" };
  await writeFile(join(host.libvirtd.imagesDirectory, kernel.volume), randomBytes(2 ** 16));
  const kernelBoot = { kernel, initrd: { pool: "images", volume: "initrd" } };
  for (const index of [1, 2, 3, 4]) {
    const spec = linux(`evil-fails-${index}`, { tenant: "fails", kernelBoot });
    const begun = await host.client.ask(contract.vms.CreateVm, { requestId: randomUUID(), spec });
    const end = await host.ended(begun, END_WITHIN_MS);
    if (end.state !== "STATE_FAILED") throw new Error(`it did not fail: ${host.describe(end)}`);
  }
  const { health } = await host.client.ask(contract.host.GetHost, {});
  const failures = health?.conditions.find(({ type }) => type === "VmStartFailures");
  if (failures === undefined) throw new Error("the host does not report failed starts");
  if (failures.status !== "TRUTH_TRUE") return "inert";
  return { letThrough: `the host takes no VMs any more: ${failures.evidence}` };
}

/** The provider stops a guest that ignores ACPI; the tenant tries to cancel that stop. */
async function overruling({ host, contract }: Stage, evil: Caller, vm: string): Promise<Outcome> {
  const { vms, operations } = contract;
  const stop = (force: boolean, seconds: number) => ({
    requestId: randomUUID(),
    vm,
    force,
    gracefulTimeout: { seconds, nanos: 0 },
  });
  const theirs = await host.client.ask(vms.StopVm, stop(false, 600));
  const cancel = operations.CancelOperation.requestSerialize({ operationId: theirs.operationId });
  const cancelled = await evil.call(operations.CancelOperation.path, cancel);
  const refused = isRefused(cancelled, status.PERMISSION_DENIED, "OPERATION_DENIED");
  const forced = await evil.call(vms.StopVm.path, vms.StopVm.requestSerialize(stop(true, 0)));
  if (forced.bytes === undefined) throw new Error(`a tenant may stop its VM: ${forced.message}`);
  const now = await host.client.ask(operations.WaitOperation, {
    operationId: theirs.operationId,
    timeout: { seconds: 2, nanos: 0 },
  });
  // The provider's operation ends, however many the tenant has queued.
  const last = await host.ended(await host.client.ask(vms.StopVm, stop(true, 0)), END_WITHIN_MS);
  if (last.state !== "STATE_SUCCEEDED") throw new Error(host.describe(last));
  return now.done ? { letThrough: `the provider's stop was cut short: ${host.describe(now)}` } : refused;
}
