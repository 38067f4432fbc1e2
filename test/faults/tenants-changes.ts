import { randomUUID } from "node:crypto";
import { status } from "@grpc/grpc-js";
import type { Answer } from "./attack-calls.ts";
import type { Disk } from "../../agent/gen/socle/v1/Disk.ts";
import { overQuota } from "./tenants-creations.ts";
import { judge, type Act, type Cause } from "./tenants-act.ts";
import { MIB, QUOTA, type TenantCaller, type TenantsStage } from "./tenants-stage.ts";

const noVm: Cause = { code: status.NOT_FOUND, reason: "VM_NOT_FOUND" };
const notYours: Cause = { code: status.PERMISSION_DENIED, reason: "VOLUME_DENIED" };

const noVolume: Cause = { code: status.NOT_FOUND, reason: "VOLUME_NOT_FOUND" };
/** Refused by its name alone: whether it exists does not matter. */
const VICTIMS_VOLUME = "socle-volume-victim+data.qcow2";
const ofVolume = () => ({ requestId: randomUUID(), pool: "images", volume: VICTIMS_VOLUME });

const theirs = ({ victim }: TenantsStage): Disk => ({
  name: "theirs",
  volume: { pool: "images", volume: `socle-${victim.vm.vmId}-data.qcow2` },
});

/** The victim's VM, with a request id. */
const victims = ({ victim }: TenantsStage): { requestId: string; vm: string } => ({
  requestId: randomUUID(),
  vm: victim.vm.vmId,
});

const ofVictim = (
  name: string,
  ask: (stage: TenantsStage, caller: TenantCaller) => Promise<Answer>,
): Act => ({
  dimension: "identity",
  what: `${name} of the victim's VM`,
  attack: async (stage, { caller }) => judge(await ask(stage, caller), noVm),
});

/** Changes of VMs by which a tenant would harm another. */
export const changing: readonly Act[] = [
  ofVictim("UpdateVm", (stage, caller) => {
    const changes = { spec: { labels: { stolen: "yes" } }, updateMask: { paths: ["labels"] } };
    return caller.ask(stage.contract.vms.UpdateVm, { ...victims(stage), ...changes });
  }),
  ofVictim("AttachDisk", (stage, caller) => {
    const disk = { name: "spy", newVolume: { pool: "images", capacityBytes: MIB } };
    return caller.ask(stage.contract.vms.AttachDisk, { ...victims(stage), disk });
  }),
  ofVictim("DetachDisk", (stage, caller) =>
    caller.ask(stage.contract.vms.DetachDisk, { ...victims(stage), disk: "data", deleteVolume: true }),
  ),
  ofVictim("ResizeDisk", (stage, caller) =>
    caller.ask(stage.contract.vms.ResizeDisk, { ...victims(stage), disk: "data", capacityBytes: 4 * MIB }),
  ),
  ofVictim("CreateSnapshot", (stage, caller) =>
    caller.ask(stage.contract.snapshots.CreateSnapshot, { ...victims(stage), name: "spy" }),
  ),
  ofVictim("DeleteSnapshot", (stage, caller) =>
    caller.ask(stage.contract.snapshots.DeleteSnapshot, { ...victims(stage), snapshot: "spy" }),
  ),
  ofVictim("RevertSnapshot", (stage, caller) =>
    caller.ask(stage.contract.snapshots.RevertSnapshot, { ...victims(stage), snapshot: "spy", force: true }),
  ),
  ofVictim("ListSnapshots", (stage, caller) =>
    caller.ask(stage.contract.snapshots.ListSnapshots, { vm: stage.victim.vm.vmId }),
  ),
  ofVictim("UpdateDisk", (stage, caller) =>
    caller.ask(stage.contract.vms.UpdateDisk, { ...victims(stage), disk: "data", limits: { writeIops: 1 } }),
  ),
  ofVictim("ChangeMedia", (stage, caller) =>
    caller.ask(stage.contract.vms.ChangeMedia, { ...victims(stage), disk: "data" }),
  ),
  ofVictim("RestoreDisk", (stage, caller) => {
    const bytes = { sha256: "0".repeat(64), sizeBytes: 1, content: Buffer.alloc(1) };
    return caller.ask(stage.contract.backups.RestoreDisk, { ...victims(stage), disk: "data", ...bytes });
  }),
  ofVictim("DumpMemory", (stage, caller) => {
    const volume = { pool: "images", name: "spy" };
    return caller.ask(stage.contract.vms.DumpMemory, { ...victims(stage), volume });
  }),
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
  ofVictim("MoveDisk", (stage, caller) =>
    caller.ask(stage.contract.vms.MoveDisk, { ...victims(stage), disk: "data", pool: "images" }),
  ),
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
    dimension: "identity",
    what: "ResizeVolume of the victim's volume",
    async attack({ contract }, { caller }) {
      const request = { ...ofVolume(), capacityBytes: MIB };
      return judge(await caller.ask(contract.storage.ResizeVolume, request), noVolume);
    },
  },
  {
    dimension: "identity",
    what: "DeleteVolume of the victim's volume",
    attack: async ({ contract }, { caller }) =>
      judge(await caller.ask(contract.storage.DeleteVolume, ofVolume()), noVolume),
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
