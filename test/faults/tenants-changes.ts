import { randomUUID } from "node:crypto";
import { status } from "@grpc/grpc-js";
import type { Answer } from "./attack-calls.ts";
import type { Disk } from "../../agent/gen/socle/v1/Disk.ts";
import { overQuota } from "./tenants-creations.ts";
import { judge, type Act, type Cause } from "./tenants-act.ts";
import { MIB, QUOTA, type TenantCaller, type TenantsStage } from "./tenants-stage.ts";

const noVm: Cause = { code: status.NOT_FOUND, reason: "VM_NOT_FOUND" };
const notYours: Cause = { code: status.PERMISSION_DENIED, reason: "VOLUME_DENIED" };

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
  ...[false, true].map((readOnly): Act => ({
    dimension: "disks",
    what: `the victim's disk attached to its own VM${readOnly ? ", to read" : ""}`,
    async attack(stage, { caller, vm }) {
      const disk = { ...theirs(stage), readOnly };
      const request = { requestId: randomUUID(), vm: vm.vmId, disk };
      return judge(await caller.ask(stage.contract.vms.AttachDisk, request), notYours);
    },
  })),
  {
    dimension: "quota",
    what: "a disk beyond its quota, attached to its VM",
    async attack({ contract }, { caller, vm }) {
      const newVolume = { pool: "images", capacityBytes: (QUOTA.diskMiB + 1) * MIB };
      const request = { requestId: randomUUID(), vm: vm.vmId, disk: { name: "much", newVolume } };
      return judge(await caller.ask(contract.vms.AttachDisk, request), overQuota("disk"));
    },
  },
];
