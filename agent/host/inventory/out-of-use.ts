import type { MemoryInfo } from "../../hardware/memory/memory.ts";
import type { ByNode } from "../../hardware/memory/out-of-use.ts";
import { valueOf, type Reading } from "../../hardware/reading.ts";
import { defined } from "../../kernel/defined.ts";
import type { Part } from "./cells.ts";
import type { NumaCell } from "../host.ts";
import { spread } from "../capacity/spread.ts";

/**
 * NUMA cells with their offline CPUs and poisoned memory. The kernel counts poisoned memory for the whole machine: it is
 * attributed to nodes that report lost pages, else to all cells in proportion to their size. Unreadable parts keep their
 * last known values.
 */
export function withOutOfUse(
  cells: readonly NumaCell[],
  sources: {
    readonly offlineCpus: Reading<ByNode<readonly number[]>>;
    readonly poisonedPages: Reading<ByNode<number>>;
    readonly memory: Reading<MemoryInfo>;
    readonly before: readonly NumaCell[];
  },
): Part<readonly NumaCell[]> {
  const { offlineCpus: offline, memory, before } = sources;
  const known = (id: number): NumaCell | undefined => before.find((cell) => cell.id === id);
  const pages = valueOf(sources.poisonedPages);
  const lostPages = cells.map(({ id }) => pages?.get(id) ?? 0);
  const weights = lostPages.some((lost) => lost > 0) ? lostPages : cells.map((cell) => cell.memoryBytes);
  const lost = spread(valueOf(memory)?.bytesByName.get("HardwareCorrupted") ?? 0, weights);
  const value = cells.map((cell, index): NumaCell => {
    const offlineCpus =
      offline.kind === "failed" ? known(cell.id)?.offlineCpus : valueOf(offline)?.get(cell.id);
    const poisonedBytes = memory.kind === "failed" ? known(cell.id)?.poisonedBytes : lost[index];
    return defined({ ...cell, offlineCpus, poisonedBytes: poisonedBytes === 0 ? undefined : poisonedBytes });
  });
  return { value, reasons: offline.kind === "failed" ? [`offline CPUs: ${offline.reason}`] : [] };
}
