import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as pause } from "node:timers/promises";
import type { Reading } from "../../../hardware/reading.ts";
import type { Reader } from "./reader.ts";

/** Each is a wake-up of the process: at 20 ms they were the larger part of what an agent at rest costs. */
const LAG_RESOLUTION_MS = 100;

/** The first look waits until there is something to tell: an agent that starts is not unwell for want of it. */
const FIRST_LOOK_MS = 3 * LAG_RESOLUTION_MS;

/** How late the turns of the agent's own event loop were since the last look, in milliseconds. */
export interface EventLoopLag {
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
      // The histogram holds the whole time between two ticks, of which the resolution is meant to be there.
      const lateMs = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - LAG_RESOLUTION_MS);
      const value = { p99Ms: lateMs(lag.percentile(99)), maxMs: lateMs(lag.max) };
      lag.reset();
      return { kind: "read", value };
    },
  };
}
