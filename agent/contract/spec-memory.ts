import { bytes, GIB, help, MIB, PLAIN_PAGE_BYTES } from "./spec-values.ts";

// The memory of a VM, and how much more its running guest can be given.

/**
 * A guest has 40 bits of addresses at least. They hold its memory, what the places of added devices cut, the 12 GiB below 1 TiB
 * that AMD's processors keep for themselves, and 32 GiB for PCI devices: QEMU does not start where they do not fit.
 */
const MOST_BYTES = 960 * GIB;

const size = bytes
  .multipleOf(MIB, "must be a multiple of 1 MiB")
  .min(MIB)
  .max(2 ** 46, "must be at most 64 TiB");

export const memoryBytes = size.meta(help("Memory of the guest; a multiple of 1 MiB.", "2GiB"));
export const maxMemoryBytes = size.meta(
  help("Memory that the running guest can be given. Default: memory; more needs a new start.", "8GiB"),
);

export const WHOLE_PAGES = "must be a multiple of the page size";
export const isWholePages = (
  memory: number,
  request: { readonly pageSizeBytes: number } | undefined,
): boolean => memory % (request?.pageSizeBytes ?? 1) === 0;

interface MemorySpec {
  readonly memoryBytes: number;
  readonly maxMemoryBytes?: number;
  readonly launchSecurity?: string;
  readonly placement?: { readonly pageSizeBytes: number; readonly devices: readonly string[] };
}

export function refuseMemory(spec: MemorySpec, refuse: (path: string[], message: string) => void): void {
  const { memoryBytes: memory, maxMemoryBytes: most, placement } = spec;
  if (!isWholePages(memory, placement)) refuse(["memoryBytes"], WHOLE_PAGES);
  if (most === undefined) return;
  if (memory > most) refuse(["memoryBytes"], `must be at most maxMemoryBytes (${most}); raise that, too`);
  if (most > memory && most > MOST_BYTES)
    refuse(["maxMemoryBytes"], `must be at most ${MOST_BYTES / GIB} GiB where it is more than memoryBytes`);
  // Without its own reserve of pages, a growth could end the guest at its next access.
  if ((placement?.pageSizeBytes ?? 0) > PLAIN_PAGE_BYTES)
    refuse(["maxMemoryBytes"], "must not be given with huge pages, which are not reserved for a growth");
  if (spec.launchSecurity !== undefined)
    refuse(["maxMemoryBytes"], "must not be given with launchSecurity, whose memory is fixed at the start");
  if ((placement?.devices.length ?? 0) > 0)
    refuse(["maxMemoryBytes"], "must not be given with devices of the host, for which all memory is pinned");
}
