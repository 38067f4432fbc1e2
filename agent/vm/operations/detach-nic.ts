import { defined } from "../../kernel/defined.ts";
import * as z from "../../kernel/zod.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { NicSpec } from "../../contract/spec.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import type { Vm } from "../model/vm.ts";
import { nicAlias } from "../model/device-names.ts";
import { removeFromSpec } from "./attach-nic.ts";
import { defineOperation } from "./definition.ts";
import { requireNotInBootOrder } from "./detach-disk.ts";
import { stampComplete } from "./guest-run.ts";
import { requireSpecOf } from "./request.ts";
import { appliesTo, beginChange, changeIntent, seenWith } from "./spec-change.ts";
import { requireNotSaved } from "./vm-state.ts";
import { mayHaveBegun } from "./work.ts";

const RELEASE = "ask guest";

interface DetachRequest {
  readonly nic: string;
  readonly etag?: string | undefined;
}

/** Takes a NIC from a VM, also from a running guest, which has to release it. */
export const detachNic = defineOperation({
  kind: "DETACH_NIC",
  intent: z.object({ nic: z.string(), ...changeIntent }),
  lane: "command",
  mayLeaveHalf: true,
  endState: "unchanged",
  /** Throws `not_found` NIC_NOT_FOUND, `conflict` BOOT_NIC and ETAG_MISMATCH. */
  admit({ nic, etag }: DetachRequest, vm) {
    requireSpecOf(etag, vm);
    requireNotSaved(vm);
    const { name } = requireNic(vm, nic);
    requireNotBoot(vm, name);
    return defined({ nic: name, etag });
  },
  plan: (_context, { nic }, vm) => Promise.resolve({ nic, applies: appliesTo(vm) }),
  async run(context, { nic, etag }, run) {
    const { domains } = context;
    const { vmId, step, done } = run;
    // The guest has lost the NIC: the rest must follow.
    if (done.has(RELEASE)) step.goOn();
    const { spec: before } = await beginChange(context, run, {
      etag,
      of: "devices",
      hasBegun: done.has(RELEASE),
    });
    const mayBeAsked = mayHaveBegun(run, RELEASE);
    // An operation before this one may have set the boot order.
    if (!mayBeAsked) requireNotBoot({ name: before.name, spec: before }, nic);
    await step(RELEASE, () => domains.devices.release(vmId, nicAlias(nic), mayBeAsked), 0.6);
    step.commit();
    await step("change definition", () => domains.devices.undefine(vmId, nicAlias(nic)));
    const spec = await step("write spec", () => removeFromSpec(context, vmId, nic));
    const state = await domains.state(vmId);
    await stampComplete(context, run, isActive(state));
    if (spec !== undefined) await seenWith(context, spec);
    return { nic, applies: appliesTo(state) };
  },
});

function requireNotBoot({ name: vm, spec }: Pick<Vm, "name" | "spec">, name: string): void {
  const { bootOrder = [], disks = [] } = spec ?? {};
  // A name in the boot order that a disk has too means the disk.
  if (disks.some((disk) => disk.name === name)) return;
  requireNotInBootOrder(bootOrder, `NIC ${name} of VM ${vm}`, name, "nic");
}

/** Throws `not_found` NIC_NOT_FOUND. */
export function requireNic({ name: vm, spec }: Pick<Vm, "name" | "spec">, name: string): NicSpec {
  const nic = spec?.nics.find((each) => each.name === name);
  if (nic !== undefined) return nic;
  const names = spec?.nics.map((each) => each.name).join(", ") ?? "";
  const message = `VM ${vm} has no NIC ${name}; it has ${names === "" ? "none" : names}`;
  throw new SocleError("not_found", "NIC_NOT_FOUND", message, { details: { fields: { nic: message } } });
}
