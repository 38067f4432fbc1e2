/** The placement that a VM's spec requests. */
export interface PlacementWish {
  /** Each vCPU on a host CPU of its own, out of the host's dedicated pool. */
  readonly dedicatedCpus: boolean;
  /** strict: CPUs, memory and devices of one NUMA cell, or a refusal. any: of one cell where possible. */
  readonly cellPolicy: "any" | "strict";
  /** With strict: this cell. */
  readonly cell?: number;
  /** Page size of its memory: 4 KiB, or huge pages of 2 MiB or 1 GiB. */
  readonly pageSizeBytes: number;
  /** With dedicatedCpus: QEMU's own threads get a dedicated CPU of their own. */
  readonly isolatedEmulator: boolean;
  /** Devices of the host, by PCI address or alias. */
  readonly devices: readonly string[];
}

/** The VM's placement: decided once by the ledger, stored with the intent, the reservation and the domain. JSON. */
export interface Placement {
  /** NUMA cells that its memory is bound to; empty: any. */
  readonly cells: readonly number[];
  /** Its memory must be there; otherwise it is there where possible. */
  readonly strict: boolean;
  /** The host CPU of each vCPU, by the vCPU's index; empty: its vCPUs use shared CPUs. */
  readonly vcpuCpus: readonly number[];
  /** For shared CPUs: those that it may run on; empty: any. */
  readonly sharedCpus: readonly number[];
  /** The CPUs of QEMU's own threads; empty: those that its vCPUs may use. */
  readonly emulatorCpus: readonly number[];
  /** Absent: plain pages. */
  readonly hugepageBytes?: number;
  /** PCI addresses, as sysfs spells them. */
  readonly devices: readonly string[];
}

export const PLAIN_PAGE_BYTES = 4096;

/** The default request. */
export const anywhere: PlacementWish = {
  dedicatedCpus: false,
  cellPolicy: "any",
  pageSizeBytes: PLAIN_PAGE_BYTES,
  isolatedEmulator: false,
  devices: [],
};

/** Bound to nothing: also the placement of VMs from before placement. */
export const unbound: Placement = {
  cells: [],
  strict: false,
  vcpuCpus: [],
  sharedCpus: [],
  emulatorCpus: [],
  devices: [],
};
