import * as z from "../../kernel/zod.ts";
import type { Immutable } from "../../kernel/immutable.ts";

const ids = z.array(z.int().min(0).max(16_383)).max(16_384);

/** The VM's placement: decided once by the ledger, stored with the intent, the reservation and the domain. JSON. */
export const placementSchema = z.object({
  /** NUMA cells that its memory is bound to; empty: any. */
  cells: ids,
  /** Its memory must be there; otherwise it is there where possible. */
  strict: z.boolean().default(false),
  /** The host CPU of each vCPU, by the vCPU's index; empty: its vCPUs use shared CPUs. */
  vcpuCpus: ids,
  /** For shared CPUs: those that it may run on; empty: any. */
  sharedCpus: ids.default([]),
  /** The CPUs of QEMU's own threads; empty: those that its vCPUs may use. */
  emulatorCpus: ids,
  /** Absent: plain pages. */
  hugepageBytes: z.int().positive().exactOptional(),
  /** PCI addresses, as sysfs spells them. */
  devices: z.array(z.string().max(64)).max(256),
});

export type Placement = Immutable<z.output<typeof placementSchema>>;

/** Bound to nothing: also the placement of VMs from before placement. */
export const unbound: Placement = {
  cells: [],
  strict: false,
  vcpuCpus: [],
  sharedCpus: [],
  emulatorCpus: [],
  devices: [],
};
