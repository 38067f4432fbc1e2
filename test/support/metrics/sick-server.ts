import type { TestContext } from "node:test";
import { silentLog } from "../../../agent/kernel/log.ts";
import { systemClock, type Clock } from "../../../agent/kernel/clock.ts";
import { allCollectors } from "../../../agent/metrics/collectors/index.ts";
import type { Format } from "../../../agent/metrics/family.ts";
import { Exposition } from "../../../agent/metrics/render.ts";
import { unpackHost } from "../tree.ts";
import { HostOfTree } from "../host/host-of-tree.ts";
import { fixedSources, nowMs } from "./fixed-sources.ts";

const collectors = [
  "host_sensors",
  "host_bmc",
  "host_memory_errors",
  "host_kernel_log",
  "host_pcie",
  "host_energy",
  "host_throttling",
];
/** A fixed clock, so that durations are the same each time. */
const stillClock: Clock = { ...systemClock, now: () => nowMs, monotonicMs: () => 0 };

/** A scrape of the sick server's hardware, read by the real readers. */
export async function scrapeSickServer(context: Pick<TestContext, "after">, format: Format): Promise<string> {
  const host = await new HostOfTree(await unpackHost(context, "sick-server")).start();
  await host.stop();
  const sources = fixedSources({ readings: host.readings });
  const exposition = new Exposition({
    collectors: allCollectors(),
    disabled: [],
    sources,
    clock: stillClock,
    log: silentLog,
  });
  const pieces = await exposition.render(format, { collect: collectors, exclude: [] }, 10_000);
  return Buffer.concat(pieces).toString();
}
