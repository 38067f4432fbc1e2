import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../../agent/kernel/clock.ts";
import { silentLog } from "../../../agent/kernel/log.ts";
import { processCollector } from "../../../agent/metrics/collectors/process.ts";
import { Exposition } from "../../../agent/metrics/render.ts";
import { fixedSources } from "../../support/metrics/fixed-sources.ts";

async function scrape(exposition: Exposition): Promise<ReadonlyMap<string, number>> {
  const text = Buffer.concat(
    await exposition.render("text", { collect: [], exclude: [] }, 10_000),
  ).toString();
  const samples = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(samples.map((line) => [line.slice(0, line.indexOf(" ")), Number(line.split(" ")[1])]));
}

test("the process has the standard metrics, except where the agent has better ones", async () => {
  const exposition = new Exposition({
    collectors: [processCollector()],
    disabled: [],
    sources: fixedSources(),
    clock: systemClock,
    log: silentLog,
  });
  const names = [...(await scrape(exposition)).keys()].map((series) => series.replace(/\{.*/, ""));
  for (const name of ["process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"])
    assert.ok(names.includes(name), `${name} is among ${names.join(" ")}`);
  assert.deepEqual(
    names.filter((name) => name.startsWith("nodejs_eventloop_lag")),
    [],
  );
});
