import { randomUUID } from "node:crypto";
import { status } from "@grpc/grpc-js";
import type { Outcome } from "./attack-runner.ts";
import { judge, type Act, type Cause } from "./tenants-act.ts";
import { changing } from "./tenants-changes.ts";
import { create, creations, overQuota, small } from "./tenants-creations.ts";
import { flooding } from "./tenants-events.ts";
import { foreign } from "./tenants-foreign.ts";
import { hoarding } from "./tenants-operations.ts";
import { BOOT_DISK, BROKEN_KERNEL, QUOTA } from "./tenants-stage.ts";
import { unreading } from "./tenants-unread.ts";

/** The concurrent requests of one tenant, within a scheduler's limit. */
const BURST = 40;
const LONG_FIELD = "x".repeat(100_000);

const noVm: Cause = { code: status.NOT_FOUND, reason: "VM_NOT_FOUND" };

/** Let through if one of the answers is; refused for its own cause if at least one is. */
const worst = (outcomes: readonly Outcome[]): Outcome =>
  outcomes.find((outcome) => typeof outcome !== "string") ??
  (outcomes.includes("refused") ? "refused" : "inert");

export const acts: readonly Act[] = [
  ...foreign,
  ...creations,
  ...changing,
  ...hoarding,
  flooding,
  unreading,
  {
    dimension: "quota",
    what: "more VMs than its quota, concurrently",
    by: "others",
    async attack(stage, tenant) {
      const specs = Array.from({ length: QUOTA.vms + 2 }, () => small(tenant, { disks: [BOOT_DISK] }));
      const answers = await Promise.all(specs.map((spec) => create(stage, tenant.caller, spec)));
      const made = answers.flatMap(({ response }) => response ?? []);
      for (const { vmId, operationId } of made) {
        await stage.ended(operationId);
        const gone = { requestId: randomUUID(), vm: vmId, force: true };
        await stage.ended((await stage.operator.get(stage.contract.vms.DeleteVm, gone)).operationId);
      }
      // One of its VMs has run from the beginning.
      if (made.length > QUOTA.vms - 1) return { letThrough: `${made.length + 1} VMs of ${QUOTA.vms}` };
      const refusals = answers.filter(({ response }) => response === undefined);
      return worst(refusals.map((refusal) => judge(refusal, overQuota("vms"))));
    },
  },
  {
    dimension: "operations",
    what: "a cancel of the provider's operation",
    async attack(stage, { caller, vm }) {
      const { vms, operations } = stage.contract;
      const stop = { requestId: randomUUID(), vm: vm.vmId, gracefulTimeout: { seconds: 60 } };
      const begun = await stage.operator.ask(vms.StopVm, stop);
      // An earlier try of this tenant may have left the VM at its limit of operations.
      if (begun.response === undefined) return "inert";
      const { operationId } = begun.response;
      const answer = await caller.ask(operations.CancelOperation, { operationId });
      await stage.operator.ask(operations.CancelOperation, { operationId });
      await stage.ended(operationId);
      return judge(answer, { code: status.PERMISSION_DENIED, reason: "OPERATION_DENIED" });
    },
  },
  {
    dimension: "rates",
    what: "many concurrent reads",
    isAdmitted: true,
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
      return worst(answers.map((answer) => judge(answer, noVm)));
    },
  },
  {
    dimension: "control epoch",
    what: "a control epoch that would exclude the provider",
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
    what: "a VM that cannot start because of its kernel",
    isAdmitted: true,
    async attack(stage, tenant) {
      const kernelBoot = { kernel: { pool: "images", volume: BROKEN_KERNEL } };
      const request = { requestId: randomUUID(), spec: small(tenant, { disks: [], kernelBoot }) };
      const { response } = await tenant.caller.ask(stage.contract.vms.CreateVm, request);
      if (response !== undefined) await stage.ended(response.operationId);
      return "inert";
    },
  },
];
