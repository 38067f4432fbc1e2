import { createHash } from "node:crypto";
import type { DomainCapabilities, HostCapabilities } from "../../libvirt/xml/index.ts";
import type { Compatibility } from "../host.ts";

interface CompatibilityFacts {
  readonly capabilities: HostCapabilities;
  /** Capabilities of the default domain type on this host. */
  readonly domain: DomainCapabilities;
  readonly libvirtVersion: string;
  readonly hypervisorVersion: string;
}

/**
 * Properties that a migrating guest depends on. The digest is the lower-case hexadecimal SHA-256 of these UTF-8 lines,
 * each ended by a line feed, lists in ascending byte order: `arch`, `accelerator`, `cpu VENDOR MODEL`, one `feature
 * POLICY:NAME` per feature of host-model, for KVM `host-cpu BITS` (physical address bits; 0: unknown) and `host-feature
 * NAME` lines, `machine NAME` lines, `qemu VERSION`, `libvirt VERSION`. The contract documents it (Compatibility.digest).
 */
export function compatibilityOf(facts: CompatibilityFacts): Compatibility {
  const { capabilities, domain, libvirtVersion, hypervisorVersion } = facts;
  const { arch, maxPhysicalAddressBits = 0 } = capabilities.cpu;
  const model = domain.cpu.hostModel;
  const accelerator = domain.domainType === "kvm" ? "kvm" : "tcg";
  const cpuModel = model?.model ?? "";
  const cpuVendor = model?.vendor ?? "";
  const cpuFeatures = ascending((model?.features ?? []).map(({ name, policy }) => `${policy}:${name}`));
  const hostCpuFeatures = ascending(capabilities.cpu.features);
  const machineTypes = ascending(machinesOf(capabilities, arch));
  const hostLines = [
    `host-cpu ${maxPhysicalAddressBits}`,
    ...hostCpuFeatures.map((feature) => `host-feature ${feature}`),
  ];
  const lines = [
    `arch ${arch}`,
    `accelerator ${accelerator}`,
    `cpu ${cpuVendor} ${cpuModel}`,
    ...cpuFeatures.map((feature) => `feature ${feature}`),
    ...(accelerator === "kvm" ? hostLines : []),
    ...machineTypes.map((machine) => `machine ${machine}`),
    `qemu ${hypervisorVersion}`,
    `libvirt ${libvirtVersion}`,
  ];
  const digest = createHash("sha256")
    .update(lines.map((line) => `${line}\n`).join(""))
    .digest("hex");
  return { digest, accelerator, cpuModel, cpuVendor, cpuFeatures, hostCpuFeatures, machineTypes };
}

/** An alias (q35) stands for a different machine type in each QEMU version. */
function machinesOf({ guests }: HostCapabilities, arch: string): string[] {
  const own = guests.filter((guest) => guest.arch === arch && guest.osType === "hvm");
  return own.flatMap(({ machines }) => machines.map(({ name, canonical }) => canonical ?? name));
}

const ascending = (names: readonly string[]): string[] =>
  [...new Set(names)].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
