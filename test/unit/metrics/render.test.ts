import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { describe } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { systemClock } from "../../../agent/kernel/clock.ts";
import { eventually } from "../../support/wait.ts";
import { fixedReadings, fixedValues, vm, vmView } from "../../support/metrics/fixed-sources.ts";
import { everything, exposition, samples, text } from "../../support/metrics/scraping.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const id = "00000000-0000-4000-8000-000000000001";

describe("a whole scrape", () => {
  for (const format of ["text", "openmetrics"] as const) {
    test(`equals the golden file for fixed inputs, in ${format}`, async () => {
      const golden = join(import.meta.dirname, "..", "..", "fixtures", "metrics", `scrape.${format}.txt`);
      const scraped = (
        await text(exposition({ readings: fixedReadings(fixedValues) }), { exclude: ["process"] }, format)
      ).replace(/node="[^"]+"/, 'node="VERSION"');
      if (process.env.UPDATE_GOLDEN === "1") await writeFile(golden, scraped);
      assert.equal(scraped, await readFile(golden, "utf8"));
    });
  }

  test("shows the agent's own process under the standard names", async () => {
    const scraped = await text(exposition());
    assert.match(scraped, /^process_resident_memory_bytes \d+/m);
    assert.match(scraped, /^nodejs_heap_size_used_bytes \d+/m);
  });

  test("has bucket bounds that OpenMetrics accepts, for the process too", async () => {
    const from = exposition();
    collectGarbage();
    const gc = await eventually(
      async () => {
        const scraped = await text(from, { collect: ["process"] }, "openmetrics");
        return /^nodejs_gc_duration_seconds_bucket/m.test(scraped) && scraped;
      },
      { what: "a garbage collection to be counted" },
    );
    for (const [, bound = ""] of gc.matchAll(/le="([^"]+)"/g)) assert.match(bound, /^(\d+\.\d+|\+Inf)$/);
  });

  test("has no counter that an OpenMetrics rendering renamed", async () => {
    const from = exposition();
    const before = await text(from, { collect: ["process"] });
    await text(from, { collect: ["process"] }, "openmetrics");
    const names = (exposed: string): string[] => [...exposed.matchAll(/^# TYPE .*$/gm)].map(([line]) => line);
    assert.deepEqual(names(await text(from, { collect: ["process"] })), names(before));
    assert.match(before, /^process_cpu_seconds_total /m);
  });
});

test("devices for VMs are counted by kind and name, in each of their possible states", async () => {
  const devices = samples(await text(exposition()), "socle_host_capacity_devices");
  const gpus = Object.entries(devices).filter(([series]) => series.includes('alias="a100"'));
  assert.deepEqual(
    gpus.map(([series, count]) => [/state="(\w+)"/.exec(series)?.[1], count]),
    [
      ["free", 0],
      ["allocated", 1],
      ["claimed", 0],
      ["unhealthy", 1],
      ["unknown", 0],
    ],
  );
});

test("a removed VM is missing from the next scrape, and its text is dropped", async () => {
  let vms = Array.from({ length: 600 }, (_, index) => vm(index));
  const view = vmView([]);
  const from = exposition({ vms: { ...view, all: () => vms } });
  assert.equal(Object.keys(samples(await text(from), "socle_vm_info")).length, 600);
  vms = [vm(1)];
  assert.deepEqual(Object.keys(samples(await text(from), "socle_vm_cpu_seconds_total")), [
    `socle_vm_cpu_seconds_total{vm="${id}"}`,
  ]);
  assert.deepEqual(Object.keys(samples(await text(from), "socle_vm_cpu_seconds_total")), [
    `socle_vm_cpu_seconds_total{vm="${id}"}`,
  ]);
});

test("five thousand VMs are rendered in many slices, between which other work runs", async () => {
  const from = exposition({ vms: vmView(Array.from({ length: 5000 }, (_, index) => vm(index))) }, undefined, {
    clock: systemClock,
  });
  await from.render("text", everything, 10_000);
  let turns = 0;
  let turning = true;
  const turn = (): void => {
    turns += 1;
    if (turning) setImmediate(turn);
  };
  setImmediate(turn);
  await from.render("text", everything, 10_000);
  turning = false;
  assert.ok(turns >= 10, `other work had ${turns} turns`);
});
