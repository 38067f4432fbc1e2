import { defined } from "../../kernel/defined.ts";
import * as z from "../../kernel/zod.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import { anywhere, type VmSpec } from "../../contract/spec.ts";
import { hostDeviceName } from "../../contract/spec-values.ts";
import { buildHostDevice } from "../../libvirt/xml/index.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import { pciAlias } from "../model/device-names.ts";
import { hostDevice } from "../model/host-devices.ts";
import { placedDevices, placementWith, specWith, type PlacedDevice } from "../model/placed-devices.ts";
import { checkPart, checkRules } from "../model/spec-check.ts";
import { requirePermitted } from "../model/tenant-policy.ts";
import type { Vm } from "../model/vm.ts";
import { defineOperation } from "./definition.ts";
import { stampComplete } from "./guest-run.ts";
import { requireSpecOf } from "./request.ts";
import { appliesTo, beginChange, changeIntent, readSpec, rewriteSpec, seenWith } from "./spec-change.ts";
import { undoAll, type Undo } from "./undo.ts";
import { requireNotSaved } from "./vm-state.ts";
import { isUndecided, mayHaveBegun, type WorkContext, type WorkRun } from "./work.ts";

const SPEC = "write spec";
const ATTACH = "attach";

interface AttachRequest {
  /** Unvalidated. */
  readonly device: string;
  readonly etag?: string | undefined;
}

/** Gives a VM a PCI device of the host, also a running guest. A failure undoes what was done. */
export const attachPciDevice = defineOperation({
  kind: "ATTACH_PCI_DEVICE",
  /** The device's name in the request, and the one that the ledger chose. */
  intent: z.object({ device: hostDeviceName, address: z.string(), ...changeIntent }),
  lane: "command",
  mayLeaveHalf: true,
  endState: "unchanged",
  grows: ({ address }, vmId) => ({
    volumes: [],
    diskBytes: 0,
    size: { id: vmId, devices: [address] },
  }),
  /**
   * Throws `invalid` SPEC_INVALID, `already_exists` DEVICE_ATTACHED, `conflict` VM_HAS_LAUNCH_SECURITY and ETAG_MISMATCH, what
   * requirePermitted throws for a caller of one tenant, and what VmHost.placeDevice throws.
   */
  admit({ device: asked, etag }: AttachRequest, vm, { byTenant, policy, placeDevice }) {
    const device = checkPart(hostDeviceName, asked, "device");
    const { id: vmId, tenant, spec, cells } = vm;
    const { placement: placementRequest = anywhere } = spec ?? {};
    if (byTenant) {
      const placement = { ...anywhere, devices: [device] };
      requirePermitted({ tenant, nics: [], placement }, policy.permissionsOf(tenant));
    }
    requireSpecOf(etag, vm);
    requireNotSaved(vm);
    requireAbsent(vm.name, vm.devices, device);
    if (spec !== undefined) requireFits(spec, device, vm.placedDevices);
    const address = placed(vm, device, () => placeDevice({ vmId, device, placementRequest, cells }));
    return defined({ device, address, etag });
  },
  plan: (_context, { device, address }, vm) => Promise.resolve({ device, address, applies: appliesTo(vm) }),
  async run(context, { device: name, address, etag }, run) {
    const { domains } = context;
    const { vmId, step } = run;
    const device = { name, address };
    const effects = new Set([SPEC, ATTACH].filter((effect) => mayHaveBegun(run, effect)));
    try {
      const { spec: before } = await beginChange(context, run, {
        etag,
        of: "devices",
        hasBegun: effects.has(ATTACH),
      });
      const { devices } = (await readSpec(context, vmId)).placement;
      // The journal may have lost the begin of a step. The claim keeps others from the device: an earlier run has placed it.
      if (run.resumed && devices.includes(address)) for (const effect of [SPEC, ATTACH]) effects.add(effect);
      if (!effects.has(SPEC)) {
        // An operation before this one may have attached others, and another client this one.
        const { isDefined, isLive } = await domains.devices.where(vmId, pciAlias(address));
        requireAbsent(before.name, isDefined || isLive === true ? [address] : devices, address);
        requireFits(before, name, devices);
      }
      effects.add(SPEC);
      const add = (devices: readonly PlacedDevice[]) => [...without(devices, address), device];
      const spec = await step(SPEC, () => rewriteDevices(context, vmId, add));
      // From here on the ledger counts the device as the VM's, also if QEMU hangs in its attachment.
      await seenWith(context, spec);
      effects.add(ATTACH);
      const xml = buildHostDevice(hostDevice(address));
      await step(ATTACH, () => domains.devices.attach(vmId, pciAlias(address), xml), 0.5);
      const state = await domains.state(vmId);
      await stampComplete(context, run, isActive(state));
      await seenWith(context, spec);
      return { device: name, address, applies: appliesTo(state) };
    } catch (thrown) {
      const error = toSocleError(thrown);
      if (isUndecided(error, run)) throw error;
      throw await undoAll(context, run, undoes(context, run, address, effects), error);
    }
  },
});

function undoes(
  context: WorkContext,
  { vmId }: WorkRun,
  address: string,
  effects: ReadonlySet<string>,
): Undo[] {
  const { domains } = context;
  const all: Undo[] = [
    {
      step: SPEC,
      async remove() {
        await removeFromSpec(context, vmId, address);
      },
    },
    {
      step: ATTACH,
      remove: () => domains.devices.takeBack(vmId, pciAlias(address)),
    },
  ];
  return all.filter(({ step }) => effects.has(step));
}

/**
 * Removes the device from the spec and the placement: from then on the ledger counts only what the domain still has. Also
 * succeeds without the domain.
 */
export async function removeFromSpec(
  context: WorkContext,
  vmId: string,
  address: string,
): Promise<VmSpec | undefined> {
  if ((await context.domains.state(vmId)) === undefined) return undefined;
  return await rewriteDevices(context, vmId, (devices) => without(devices, address));
}

/** Changes the devices in the spec and in the placement, in one write. */
const rewriteDevices = (
  context: WorkContext,
  vmId: string,
  change: (devices: readonly PlacedDevice[]) => readonly PlacedDevice[],
): Promise<VmSpec> =>
  rewriteSpec(context, vmId, (spec, { devices }) => specWith(spec, change(placedDevices(spec, devices))), {
    placement: (placement, spec) => placementWith(placement, change(placedDevices(spec, placement.devices))),
  });

const without = (devices: readonly PlacedDevice[], address: string): readonly PlacedDevice[] =>
  devices.filter((device) => device.address !== address);

/** The address that the ledger chooses. Throws `already_exists` DEVICE_ATTACHED if the VM has the device that it asks for. */
function placed({ name, spec, placedDevices: addresses }: Vm, device: string, choose: () => string): string {
  try {
    return choose();
  } catch (thrown) {
    const own = placedDevices(spec, addresses).find((each) => each.name === device);
    if (own !== undefined && toSocleError(thrown).reason === "NO_CAPACITY")
      requireAbsent(name, [own.address], own.address);
    throw thrown;
  }
}

function requireAbsent(vm: string, devices: readonly string[] = [], address: string): void {
  if (!devices.includes(address)) return;
  const message = `VM ${vm} has the device ${address} already; choose another`;
  throw new SocleError("already_exists", "DEVICE_ATTACHED", message, {
    details: { fields: { device: message } },
  });
}

function requireFits(spec: VmSpec, name: string, addresses: readonly string[] = []): void {
  if (spec.launchSecurity !== undefined) {
    const message = `VM ${spec.name} has encrypted memory (${spec.launchSecurity}), which no device can be attached to; make a new VM with the device in its spec`;
    throw new SocleError("conflict", "VM_HAS_LAUNCH_SECURITY", message);
  }
  const devices = placedDevices(spec, addresses);
  const part = ["placement", "devices", devices.length];
  checkRules(specWith(spec, [...devices, { name, address: name }]), { part, root: "device" });
}
