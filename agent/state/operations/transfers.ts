import type { Operation } from "./operation.ts";

/** The copies of one kind of operation that are under way. */
export interface TransferTotals {
  readonly running: number;
  readonly remainingBytes: number;
  /** Of those whose speed is known. */
  readonly bytesPerSecond: number;
}

/** By kind. A kind without a copy is absent. */
export function transfersOf(operations: readonly Operation[]): ReadonlyMap<string, TransferTotals> {
  const totals = new Map<string, TransferTotals>();
  for (const { kind, state, transfer } of operations) {
    if (state !== "running" || transfer === undefined) continue;
    const { running, remainingBytes, bytesPerSecond } = totals.get(kind) ?? none;
    totals.set(kind, {
      running: running + 1,
      remainingBytes: remainingBytes + Math.max(0, transfer.totalBytes - transfer.doneBytes),
      bytesPerSecond: bytesPerSecond + (transfer.bytesPerSecond ?? 0),
    });
  }
  return totals;
}

const none: TransferTotals = { running: 0, remainingBytes: 0, bytesPerSecond: 0 };
