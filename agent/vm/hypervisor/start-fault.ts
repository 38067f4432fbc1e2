import type { SocleError } from "../../kernel/errors.ts";
import type { VmSpec } from "../model/spec.ts";

/**
 * The cause of a failed start. `host`: the host lacks or refuses something that no spec decides. `vm`: the VM's own, or
 * the request's. `unclear`: QEMU gave up, for the host's fault or for what the tenant boots.
 */
export type StartFault = "host" | "vm" | "unclear";

/** A VM that failed to start, or was stopped by its hypervisor, as far as it matters for whose fault that is. */
export interface Culprit {
  readonly vmId: string;
  /** Empty: the provider's own VM. */
  readonly tenant: string;
  /** What it boots. */
  readonly image: string;
}

/** virErrorDomain of virterror.h: libvirt's own machinery (processes, TAP devices, cgroups, firewall), not a VM's files. */
const HOST_MACHINERY: ReadonlySet<string> = new Set(["0", "54", "56", "59", "61", "68", "71"]);

const HOST_SHORTAGES: ReadonlySet<string> = new Set(["LIBVIRT_NO_MEMORY", "LIBVIRT_NO_SPACE"]);

/**
 * QEMU's words on what a tenant brings. They only ever take a failure off the host: a tenant who makes QEMU print them
 * by an image of his spares the host, and none of them speaks against it.
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

/** What a failed start says about the host. */
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

/** One text for what a VM boots: many VMs may boot the same. An empty disk is its own. */
function bootImage({ id, kernelBoot, disks: [first] }: VmSpec): string {
  if (kernelBoot !== undefined) return `${kernelBoot.kernel.pool}/${kernelBoot.kernel.volume}`;
  if (first === undefined) return id;
  const { source } = first;
  if (source.kind === "volume") return `${source.volume.pool}/${source.volume.volume}`;
  return source.baseVolume === undefined ? id : `${source.pool}/${source.baseVolume}`;
}
