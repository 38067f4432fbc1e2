import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../../agent/kernel/clock.ts";
import { silentLog } from "../../../agent/kernel/log.ts";
import { processCollector } from "../../../agent/metrics/collectors/process.ts";
import { Exposition } from "../../../agent/metrics/render.ts";
import { eventually } from "../../lab/wait.ts";
import { fixedSources } from "./fixed-sources.ts";

async function scrape(exposition: Exposition): Promise<ReadonlyMap<string, number>> {
  const text = Buffer.concat(
    await exposition.render("text", { collect: [], exclude: [] }, 10_000),
  ).toString();
  const samples = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(samples.map((line) => [line.slice(0, line.indexOf(" ")), Number(line.split(" ")[1])]));
}

test("the event loop's lag is the lag alone, and left out where nobody looked since the last scrape", async () => {
  const exposition = new Exposition({
    collectors: [processCollector()],
    disabled: [],
    sources: fixedSources(),
    clock: systemClock,
    log: silentLog,
  });
  const lagIsTold = async (): Promise<ReadonlyMap<string, number> | false> => {
    const samples = await scrape(exposition);
    return samples.has("nodejs_eventloop_lag_p50_seconds") && samples;
  };
  // Each scrape starts the looks anew.
  const first = await eventually(lagIsTold, { intervalMs: 500 });
  const p50 = first.get("nodejs_eventloop_lag_p50_seconds") ?? NaN;
  assert.ok(p50 >= 0 && p50 < 0.09, `a loop that only waits lags ${p50} s`);
  assert.ok((first.get("nodejs_eventloop_lag_max_seconds") ?? NaN) >= p50);

  const second = await scrape(exposition);
  assert.equal(second.has("nodejs_eventloop_lag_mean_seconds"), false);
  assert.equal(second.has("nodejs_eventloop_lag_min_seconds"), false);
  assert.ok(second.has("process_resident_memory_bytes"));
});
