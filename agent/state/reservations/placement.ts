/** Where a VM asks to be. */
export interface PlacementWish {
  /** Each vCPU on a host CPU of its own, out of the host's dedicated pool. */
  readonly dedicatedCpus: boolean;
  /** strict: CPUs, memory and devices of one NUMA cell, or not at all. any: of one where that can be had. */
  readonly cellPolicy: "any" | "strict";
  /** With strict: this cell. */
  readonly cell?: number;
  /** Of the pages behind its memory: 4 KiB, or huge pages of 2 MiB or 1 GiB. */
  readonly pageSizeBytes: number;
  /** With dedicatedCpus: QEMU's own threads get a dedicated CPU of their own. */
  readonly isolatedEmulator: boolean;
  /** Devices of the host, by PCI address or alias. */
  readonly devices: readonly string[];
}

/** Where a VM was put: decided once by the ledger, kept with the intent, the reservation and the domain. JSON. */
export interface Placement {
  /** NUMA cells that its memory is bound to; empty: any. */
  readonly cells: readonly number[];
  /** Its memory is there or nowhere; otherwise there where possible. */
  readonly strict: boolean;
  /** The host CPU of each vCPU, by the vCPU's index; empty: its vCPUs share CPUs with others. */
  readonly vcpuCpus: readonly number[];
  /** Of a VM that shares: the CPUs it may run on; empty: any. */
  readonly sharedCpus: readonly number[];
  /** The CPUs of QEMU's own threads; empty: those that its vCPUs may use. */
  readonly emulatorCpus: readonly number[];
  /** Absent: plain pages. */
  readonly hugepageBytes?: number;
  /** PCI addresses, as sysfs spells them. */
  readonly devices: readonly string[];
}

export const PLAIN_PAGE_BYTES = 4096;

/** What is wished where nothing is said. */
export const anywhere: PlacementWish = {
  dedicatedCpus: false,
  cellPolicy: "any",
  pageSizeBytes: PLAIN_PAGE_BYTES,
  isolatedEmulator: false,
  devices: [],
};

/** Bound to nothing: also what VMs had before there was placement. */
export const unbound: Placement = {
  cells: [],
  strict: false,
  vcpuCpus: [],
  sharedCpus: [],
  emulatorCpus: [],
  devices: [],
};
