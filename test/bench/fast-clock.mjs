// For `node --import`: the process's clocks and timers run CLOCK_RATE times as fast. With 10, a bench's minute holds all that the
// process does in 10 minutes, at the same cost.
import { syncBuiltinESMExports } from "node:module";
import process from "node:process";
import timers from "node:timers";
import promises from "node:timers/promises";
import { promisify } from "node:util";

const rate = Number(process.env["CLOCK_RATE"]);
const { performance } = globalThis;
const RealDate = Date;
const startedAtMs = RealDate.now();
const monotonicMs = performance.now.bind(performance);
const { setTimeout, setInterval } = timers;
const pause = promises.setTimeout;

performance.now = () => monotonicMs() * rate;
globalThis.Date = class extends RealDate {
  constructor(...args) {
    if (args.length === 0) super(Date.now());
    else super(...args);
  }

  static now() {
    return Math.round(startedAtMs + (RealDate.now() - startedAtMs) * rate);
  }
};

/** Shorter delays are deadlines and pauses within a round: a loaded machine would miss them. */
const LONGEST_KEPT_MS = 2000;
const realMs = (ms) => (ms > LONGEST_KEPT_MS ? ms / rate : ms);

promises.setTimeout = (ms, ...rest) => pause(realMs(ms), ...rest);
timers.setTimeout = (callback, ms, ...args) => setTimeout(callback, realMs(ms), ...args);
timers.setTimeout[promisify.custom] = promises.setTimeout;
timers.setInterval = (callback, ms, ...args) => setInterval(callback, realMs(ms), ...args);
globalThis.setTimeout = timers.setTimeout;
globalThis.setInterval = timers.setInterval;
syncBuiltinESMExports();
