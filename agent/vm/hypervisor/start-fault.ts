import type { SocleError } from "../../kernel/errors.ts";
import type { VmSpec } from "../../contract/spec.ts";

/**
 * The cause of a failed start. `host`: the host lacks or refuses something independent of the spec. `vm`: the VM or the
 * request. `unclear`: QEMU gave up, because of the host or of what the tenant boots.
 */
type StartFault = "host" | "vm" | "unclear";

/** A VM that failed to start, or that its hypervisor stopped, with the facts that decide the cause. */
export interface Culprit {
  readonly vmId: string;
  /** Empty: the provider's own VM. */
  readonly tenant: string;
  /** What it boots. */
  readonly image: string;
}

/**
 * virErrorDomain of virterror.h: libvirt's own components (processes, TAP devices, cgroups, firewall), not a VM's
 * files.
 */
const HOST_MACHINERY: ReadonlySet<string> = new Set(["0", "54", "56", "59", "61", "68", "71"]);

const HOST_SHORTAGES: ReadonlySet<string> = new Set(["LIBVIRT_NO_MEMORY", "LIBVIRT_NO_SPACE"]);

/**
 * QEMU's messages about tenant data. They can only clear the host of a failure: a tenant whose image provokes them
 * cannot make the host look broken.
 */
const OWN_FAULTS = [
  /could not load (the )?(kernel|initrd|initial ram disk)/i,
  /invalid kernel header/i,
  /error (loading|reading) (the )?(uncompressed )?(kernel|initrd)/i,
  /(kernel|linux) .{0,40}(too (old|new|large|big)|not a valid|invalid)/i,
  /Image is not in .{1,20} format/i,
  /qcow2?.{0,60}(header|corrupt|unsupported|invalid|table|refcount)/i,
  /Unsupported .{0,20}qcow2? feature/i,
  /(firmware|rom|bios).{0,60}(too large|invalid|could not load|not a)/i,
];

/** Which side a failed start points to. */
export function startFaultOf({ kind, reason, message, details }: SocleError): StartFault {
  if (HOST_SHORTAGES.has(reason)) return "host";
  if (kind !== "internal") return "vm";
  const { libvirtDomain = "" } = details.metadata ?? {};
  if (reason === "LIBVIRT_SYSTEM_ERROR" && HOST_MACHINERY.has(libvirtDomain)) return "host";
  return OWN_FAULTS.some((words) => words.test(message)) ? "vm" : "unclear";
}

export const culpritOf = (spec: VmSpec): Culprit => ({
  vmId: spec.id,
  tenant: spec.tenant,
  image: bootImage(spec),
});

/** A key for what a VM boots: many VMs may boot the same image. An empty disk belongs to its VM only. */
function bootImage({ id, kernelBoot, disks: [first] }: VmSpec): string {
  if (kernelBoot !== undefined) return `${kernelBoot.kernel.pool}/${kernelBoot.kernel.volume}`;
  if (first === undefined) return id;
  const { source } = first;
  if (source.kind !== "new")
    return source.volume === undefined ? id : `${source.volume.pool}/${source.volume.volume}`;
  return source.baseVolume === undefined ? id : `${source.pool}/${source.baseVolume}`;
}
