import { defined } from "../../kernel/defined.ts";
import * as z from "../../kernel/zod.ts";
import { SocleError } from "../../kernel/errors.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import { pciAlias } from "../model/device-names.ts";
import { placedDevices, type PlacedDevice } from "../model/placed-devices.ts";
import type { Vm } from "../model/vm.ts";
import { removeFromSpec } from "./attach-pci-device.ts";
import { defineOperation } from "./definition.ts";
import { stampComplete } from "./guest-run.ts";
import { requireSpecOf } from "./request.ts";
import { appliesTo, beginChange, changeIntent, seenWith } from "./spec-change.ts";
import { requireNotSaved } from "./vm-state.ts";
import { mayHaveBegun } from "./work.ts";

const RELEASE = "ask guest";

interface DetachRequest {
  /** A PCI address, or the name in the spec. */
  readonly device: string;
  readonly etag?: string | undefined;
}

/** Takes a PCI device of the host from a VM, also from a running guest, which has to release it. */
export const detachPciDevice = defineOperation({
  kind: "DETACH_PCI_DEVICE",
  intent: z.object({ device: z.string(), address: z.string(), ...changeIntent }),
  lane: "command",
  mayLeaveHalf: true,
  endState: "unchanged",
  /** Throws `not_found` DEVICE_NOT_FOUND, `invalid` DEVICE_AMBIGUOUS, `conflict` ETAG_MISMATCH. */
  admit({ device, etag }: DetachRequest, vm) {
    requireSpecOf(etag, vm);
    requireNotSaved(vm);
    const { name, address } = requireDevice(vm, device);
    return defined({ device: name, address, etag });
  },
  plan: (_context, { device, address }, vm) => Promise.resolve({ device, address, applies: appliesTo(vm) }),
  async run(context, { device, address, etag }, run) {
    const { domains } = context;
    const { vmId, step, done } = run;
    const alias = pciAlias(address);
    // The guest has lost the device: the rest must follow.
    if (done.has(RELEASE)) step.goOn();
    await beginChange(context, run, { etag, of: "devices", hasBegun: done.has(RELEASE) });
    await step(RELEASE, () => domains.devices.release(vmId, alias, mayHaveBegun(run, RELEASE)), 0.6);
    step.commit();
    await step("change definition", () => domains.devices.undefine(vmId, alias));
    const spec = await step("write spec", () => removeFromSpec(context, vmId, address));
    const state = await domains.state(vmId);
    await stampComplete(context, run, isActive(state));
    if (spec !== undefined) await seenWith(context, spec);
    return { device, address, applies: appliesTo(state) };
  },
});

function requireDevice({ name: vm, spec, placedDevices: addresses }: Vm, wanted: string): PlacedDevice {
  const all = placedDevices(spec, addresses);
  const found = all.filter(({ name, address }) => address === wanted || name === wanted);
  const [device] = found;
  const refuse = (kind: "not_found" | "invalid", reason: string, message: string): SocleError =>
    new SocleError(kind, reason, message, { details: { fields: { device: message } } });
  const listed = (devices: readonly PlacedDevice[]): string =>
    devices.map(({ address }) => address).join(", ") || "none";
  if (device === undefined)
    throw refuse("not_found", "DEVICE_NOT_FOUND", `VM ${vm} has no device ${wanted}; it has ${listed(all)}`);
  if (found.length === 1) return device;
  throw refuse(
    "invalid",
    "DEVICE_AMBIGUOUS",
    `VM ${vm} has ${found.length} devices ${wanted}; name the address of one: ${listed(found)}`,
  );
}
