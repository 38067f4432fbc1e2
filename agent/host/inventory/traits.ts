import type { Kvm } from "../../hardware/cpu/kvm.ts";
import { valueOf, type Reading } from "../../hardware/reading.ts";
import type { DomainCapabilities, HostCapabilities } from "../../libvirt/xml/index.ts";
import type { NumaCell, PciDevice } from "../host.ts";

interface TraitFacts {
  readonly kvm: Reading<Kvm>;
  /** Guests failed on KVM: an openable device then proves nothing. */
  readonly kvmFails: boolean;
  readonly capabilities: Reading<HostCapabilities>;
  readonly domain: Reading<DomainCapabilities>;
  readonly cells: readonly NumaCell[];
  readonly devices: readonly PciDevice[];
}

const MIB = 1024 ** 2;

/**
 * Capabilities of this host, ascending. Each has evidence: an openable device, existing pages and devices, or libvirt's
 * report on its emulator with the installed firmware and software.
 */
export function traitsOf(facts: TraitFacts): string[] {
  const types = offeredTypes(valueOf(facts.capabilities));
  const kvm = valueOf(facts.kvm);
  const runsKvm = !facts.kvmFails && (kvm !== undefined || types.has("kvm"));
  const domain = valueOf(facts.domain);
  const offers = (device: string, kind: string, value: string): boolean =>
    domain?.devices[device]?.values[kind]?.includes(value) === true;
  const hasPages = (sizeBytes: number): boolean =>
    facts.cells.some(({ pages }) => pages.some((page) => page.sizeBytes === sizeBytes && page.total > 0));
  const proofs: Readonly<Record<string, boolean>> = {
    kvm: runsKvm,
    nested: runsKvm && kvm?.nested === true,
    tcg: types.has("qemu"),
    uefi: domain?.os.firmwares.includes("efi") === true,
    "secure-boot": domain?.os.firmwares.includes("efi") === true && domain.os.secureBoot,
    vtpm: offers("tpm", "backendModel", "emulator"),
    virtiofs: offers("filesystem", "driverType", "virtiofs"),
    "hugepages-2m": hasPages(2 * MIB),
    "hugepages-1g": hasPages(1024 * MIB),
    iommu: facts.devices.some(({ iommuGroup }) => iommuGroup !== undefined),
    sriov: facts.devices.some(({ virtualFunctions }) => virtualFunctions !== undefined),
    gpu: facts.devices.some(({ kind, iommuGroup }) => kind === "gpu" && iommuGroup !== undefined),
    smt: facts.cells.some(({ siblings }) => siblings?.some((core) => core.length > 1) === true),
    ...Object.fromEntries((domain?.launchSecurity ?? []).map((kind) => [kind, true])),
  };
  return Object.entries(proofs)
    .flatMap(([trait, isProved]) => (isProved ? [trait] : []))
    .sort();
}

/** Domain types (kvm, qemu) that libvirt offers for the host's own architecture. */
export function offeredTypes(capabilities: HostCapabilities | undefined): ReadonlySet<string> {
  const own = capabilities?.guests.filter(({ arch }) => arch === capabilities.cpu.arch) ?? [];
  return new Set(own.flatMap(({ domainTypes }) => domainTypes));
}
