import { bytes, help, MIB } from "./spec-values.ts";

// The memory of a VM, and how much more its running guest can be given.

/** libvirt and the guests' drivers give and take memory in such blocks, or in the host's pages where these are larger. */
const LEAST_BLOCK_BYTES = 2 * MIB;

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

/** The unit in which a running guest's memory grows and shrinks. */
export const memoryBlockBytes = ({ placement }: Pick<MemorySpec, "placement">): number =>
  Math.max(LEAST_BLOCK_BYTES, placement?.pageSizeBytes ?? 0);

export function refuseMemory(spec: MemorySpec, refuse: (path: string[], message: string) => void): void {
  const { memoryBytes: memory, maxMemoryBytes: most, placement } = spec;
  if (!isWholePages(memory, placement)) refuse(["memoryBytes"], WHOLE_PAGES);
  if (most === undefined) return;
  if (memory > most) refuse(["memoryBytes"], `must be at most maxMemoryBytes (${most}); raise that, too`);
  const block = memoryBlockBytes(spec);
  for (const [field, value] of Object.entries({ memoryBytes: memory, maxMemoryBytes: most }))
    if (value % block !== 0) refuse([field], `must be a multiple of ${block / MIB} MiB with maxMemoryBytes`);
  if (spec.launchSecurity !== undefined)
    refuse(["maxMemoryBytes"], "must not be given with launchSecurity, whose memory is fixed at the start");
  if ((placement?.devices.length ?? 0) > 0)
    refuse(["maxMemoryBytes"], "must not be given with devices of the host, for which all memory is pinned");
}
