import { readdirSync, readFileSync } from "node:fs";

// Read synchronously: /proc answers at once, and an asynchronous read of a file takes five times as much CPU.

/**
 * The time that the main threads of these processes waited for a processor, in ms since their start (schedstat of proc(5),
 * second field). A latency without this time is the program's own, however busy the machine is. An ended process counts 0.
 */
export const processorWaitMs = (...pids: readonly number[]): number =>
  sum(pids.map((pid) => waitedMs(`/proc/${pid}/schedstat`)));

/** The same for all their threads. */
export const allProcessorWaitMs = (pids: readonly number[]): number =>
  sum(
    pids.flatMap((pid) => threadsOf(pid).map((thread) => waitedMs(`/proc/${pid}/task/${thread}/schedstat`))),
  );

function threadsOf(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

function waitedMs(schedstat: string): number {
  try {
    return Number(readFileSync(schedstat, "latin1").split(" ")[1] ?? 0) / 1e6;
  } catch {
    // The process or the thread has ended.
    return 0;
  }
}

const sum = (all: readonly number[]): number => all.reduce((total, ms) => total + ms, 0);
