import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as pause } from "node:timers/promises";
import type { Reading } from "../../../hardware/reading.ts";
import type { Reader } from "./reader.ts";

/** Sampling interval. Each sample wakes the process: at 20 ms they were most of an idle agent's cost. */
const LAG_RESOLUTION_MS = 100;

/** Time before the first reading, so that a starting agent does not count as unhealthy. */
const FIRST_LOOK_MS = 3 * LAG_RESOLUTION_MS;

/** Delays of the agent's event loop since the last reading, in milliseconds. */
interface EventLoopLag {
  readonly p99Ms: number;
  readonly maxMs: number;
}

export function eventLoopLag(everyMs: number): Reader<EventLoopLag> {
  const lag = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS });
  return {
    everyMs,
    lane: "agent",
    async read(): Promise<Reading<EventLoopLag>> {
      if (lag.enable()) await pause(FIRST_LOOK_MS, undefined, { ref: false });
      // The histogram records the time between two ticks, which includes the resolution itself.
      const lateMs = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - LAG_RESOLUTION_MS);
      const value = { p99Ms: lateMs(lag.percentile(99)), maxMs: lateMs(lag.max) };
      lag.reset();
      return { kind: "read", value };
    },
  };
}
