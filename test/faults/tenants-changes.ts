import { randomUUID } from "node:crypto";
import { status } from "@grpc/grpc-js";
import type { Disk } from "../../agent/gen/socle/v1/Disk.ts";
import { overQuota } from "./tenants-creations.ts";
import { judge, type Act, type Cause } from "./tenants-act.ts";
import { MIB, QUOTA, type TenantsStage } from "./tenants-stage.ts";

const notYours: Cause = { code: status.PERMISSION_DENIED, reason: "VOLUME_DENIED" };

/** Refused by its name alone: whether it exists does not matter. */
const VICTIMS_VOLUME = "socle-volume-victim+data.qcow2";

const theirs = ({ victim }: TenantsStage): Disk => ({
  name: "theirs",
  volume: { pool: "images", volume: `socle-${victim.vm.vmId}-data.qcow2` },
});

/** Changes of VMs by which a tenant would harm another. */
export const changing: readonly Act[] = [
  {
    dimension: "identity",
    what: "DumpMemory of its own VM into a file on the host",
    async attack({ contract }, { caller, vm }) {
      const answer = await caller.ask(contract.vms.DumpMemory, { requestId: randomUUID(), vm: vm.vmId });
      return judge(answer, { code: status.PERMISSION_DENIED, reason: "DUMP_DENIED" });
    },
  },
  {
    dimension: "quota",
    what: "the memory of its VM in a volume beyond its quota",
    async attack({ contract }, { caller, vm }) {
      const request = { requestId: randomUUID(), vm: vm.vmId, volume: { pool: "images", name: "memory" } };
      return judge(await caller.ask(contract.vms.DumpMemory, request), overQuota("disk"));
    },
  },
  ...[false, true].map((readOnly): Act => ({
    dimension: "disks",
    what: `the victim's disk attached to its own VM${readOnly ? ", to read" : ""}`,
    async attack(stage, { caller, vm }) {
      const disk = { ...theirs(stage), readOnly };
      const request = { requestId: randomUUID(), vm: vm.vmId, disk };
      return judge(await caller.ask(stage.contract.vms.AttachDisk, request), notYours);
    },
  })),
  ...[false, true].map((readOnly): Act => ({
    dimension: "disks",
    what: `a volume of the victim's attached to its own VM${readOnly ? ", to read" : ""}`,
    async attack({ contract }, { caller, vm }) {
      const disk = { name: "theirs", volume: { pool: "images", volume: VICTIMS_VOLUME }, readOnly };
      const request = { requestId: randomUUID(), vm: vm.vmId, disk };
      return judge(await caller.ask(contract.vms.AttachDisk, request), notYours);
    },
  })),
  {
    dimension: "identity",
    what: "CreateVolume for the victim",
    async attack({ contract }, { caller }) {
      const request = { requestId: randomUUID(), pool: "images", name: "v", capacityBytes: MIB };
      const answer = await caller.ask(contract.storage.CreateVolume, { ...request, tenant: "victim" });
      return judge(answer, { code: status.PERMISSION_DENIED, reason: "TENANT_DENIED" });
    },
  },
  {
    dimension: "quota",
    what: "a volume beyond its quota",
    async attack({ contract }, { caller }) {
      const capacityBytes = (QUOTA.diskMiB + 1) * MIB;
      const request = { requestId: randomUUID(), pool: "images", name: "much", capacityBytes };
      return judge(await caller.ask(contract.storage.CreateVolume, request), overQuota("disk"));
    },
  },
  {
    dimension: "quota",
    what: "a disk beyond its quota, attached to its VM",
    async attack({ contract }, { caller, vm }) {
      const newVolume = { pool: "images", capacityBytes: (QUOTA.diskMiB + 1) * MIB };
      const request = { requestId: randomUUID(), vm: vm.vmId, disk: { name: "much", newVolume } };
      return judge(await caller.ask(contract.vms.AttachDisk, request), overQuota("disk"));
    },
  },
  ...[
    { dimension: "vcpus", mask: "vcpus", spec: { vcpus: QUOTA.vcpus + 1 } },
    { dimension: "memory", mask: "memory_bytes", spec: { memoryBytes: (QUOTA.memoryMiB + 1) * MIB } },
  ].map(({ dimension, mask, spec }): Act => ({
    dimension: "quota",
    what: `its VM grown beyond its quota of ${dimension}`,
    async attack({ contract }, { caller, vm }) {
      const request = { requestId: randomUUID(), vm: vm.vmId, spec, updateMask: { paths: [mask] } };
      return judge(await caller.ask(contract.vms.UpdateVm, request), overQuota(dimension));
    },
  })),
];
