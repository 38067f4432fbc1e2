// For `node --import`: checks the process's event loop every millisecond. A client of the socket PROBE_SOCKET gets the longest
// stall since the previous request: on the clock, with the part in which the thread waited for a CPU; in CPU time of its
// thread; and by one garbage collection. A late check of an idle loop is the machine's delay and no stall.
import { Buffer } from "node:buffer";
import { openSync, readSync } from "node:fs";
import { createServer } from "node:net";
import { performance, PerformanceObserver } from "node:perf_hooks";
import process from "node:process";
import { setInterval } from "node:timers";

const everyMs = 1;
const schedstat = openSync("/proc/self/schedstat", "r");
const words = Buffer.alloc(128);
const times = () => {
  const [ranNs, waitedNs] = words.toString("latin1", 0, readSync(schedstat, words, 0, 128, 0)).split(" ");
  return {
    wallMs: performance.now(),
    busyMs: performance.eventLoopUtilization().active,
    cpuMs: Number(ranNs) / 1e6,
    waitedMs: Number(waitedNs) / 1e6,
  };
};

const none = { wallMs: 0, waitedMs: 0, cpuMs: 0, collectionMs: 0 };
let most = { ...none };
let last = times();
const look = () => {
  const now = times();
  const wallMs = Math.min(now.wallMs - last.wallMs - everyMs, now.busyMs - last.busyMs);
  if (wallMs > most.wallMs) most = { ...most, wallMs, waitedMs: now.waitedMs - last.waitedMs };
  most.cpuMs = Math.max(most.cpuMs, now.cpuMs - last.cpuMs);
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
