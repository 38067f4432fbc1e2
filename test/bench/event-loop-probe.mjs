// For `node --import`: looks at the event loop of the process it is loaded into every millisecond, and tells who connects
// to the socket PROBE_SOCKET for how long it was held up at most since the last one asked: on the clock, in CPU time of
// its thread, which is the same where nobody else takes the CPU away, and by one collection of garbage.
import { Buffer } from "node:buffer";
import { openSync, readSync } from "node:fs";
import { createServer } from "node:net";
import { performance, PerformanceObserver } from "node:perf_hooks";
import process from "node:process";
import { setInterval } from "node:timers";

const everyMs = 1;
const schedstat = openSync("/proc/self/schedstat", "r");
const words = Buffer.alloc(128);
const cpuMs = () =>
  Number(words.toString("latin1", 0, readSync(schedstat, words, 0, 128, 0)).split(" ")[0]) / 1e6;

const none = { wallMs: 0, cpuMs: 0, collectionMs: 0 };
let most = { ...none };
let last = { wallMs: performance.now(), cpuMs: cpuMs() };
const look = () => {
  const now = { wallMs: performance.now(), cpuMs: cpuMs() };
  most = {
    ...most,
    wallMs: Math.max(most.wallMs, now.wallMs - last.wallMs - everyMs),
    cpuMs: Math.max(most.cpuMs, now.cpuMs - last.cpuMs),
  };
  last = now;
};
setInterval(look, everyMs).unref();
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) most.collectionMs = Math.max(most.collectionMs, duration);
}).observe({ entryTypes: ["gc"] });
createServer((socket) => {
  socket.on("error", () => undefined);
  look();
  socket.end(JSON.stringify(most));
  most = { ...none };
})
  .listen(process.env["PROBE_SOCKET"])
  .unref();
