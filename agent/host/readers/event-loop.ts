import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Reading } from "../../hardware/reading.ts";
import type { Reader } from "./reader.ts";

/** Each is a wake-up of the process: at 20 ms they were the larger part of what an agent at rest costs. */
const LAG_RESOLUTION_MS = 100;

/** The delay of the agent's own event loop that 99 of 100 turns since the last look stayed under, in milliseconds. */
export function eventLoopLag(everyMs: number): Reader<number> {
  const lag = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS });
  return {
    everyMs,
    lane: "agent",
    read(): Promise<Reading<number>> {
      if (lag.enable()) return Promise.resolve({ kind: "failed", reason: "not measured yet" });
      // The histogram holds the whole time between two ticks, of which the resolution is meant to be there.
      const value = Math.max(0, lag.percentile(99) / 1e6 - LAG_RESOLUTION_MS);
      lag.reset();
      return Promise.resolve({ kind: "read", value });
    },
  };
}
