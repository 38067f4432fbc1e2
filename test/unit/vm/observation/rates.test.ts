import assert from "node:assert/strict";
import { test } from "node:test";
import { ratesBetween } from "../../../../agent/vm/observation/rates.ts";
import { VmTable } from "../../../../agent/vm/observation/vm-table.ts";
import type { Vm } from "../../../../agent/vm/model/vm.ts";
import { stats, vm } from "../../../support/metrics/fixed-sources.ts";

const before = stats(1, { sampledAtMs: 0, cpuSeconds: 10 });
const [disk, nic] = [before.disks[0], before.nics[0]];

test("counters become rates over the time between two samples", () => {
  const after = stats(1, {
    sampledAtMs: 10_000,
    cpuSeconds: 25,
    disks: [{ device: "vda", readBytes: 409_600 + 1e6, writeBytes: 40_960 }],
    nics: [{ device: "vnet0", receiveBytes: 1000 + 5e6, transmitBytes: 2000 }],
  });
  assert.deepEqual(ratesBetween(before, after), {
    cpuCores: 1.5,
    diskReadBytesPerSecond: 1e5,
    diskWriteBytesPerSecond: 0,
    receiveBytesPerSecond: 5e5,
    transmitBytesPerSecond: 0,
  });
});

test("a step of the wall clock does not distort a rate", () => {
  for (const sampledAtMs of [-9_000, 0, 100_000]) {
    const after = stats(1, { sampledAtMs, sampledAtMonotonicMs: 10_000, cpuSeconds: 20 });
    assert.equal(ratesBetween(before, after)?.cpuCores, 1);
  }
});

test("a counter that is unknown or restarted gives no rate, never zero", () => {
  assert.equal(ratesBetween(undefined, before), undefined);
  const later = (changes: Parameters<typeof stats>[1]) =>
    ratesBetween(before, stats(1, { sampledAtMs: 10_000, cpuSeconds: 25, ...changes }));
  assert.equal(later({ unresponsive: true }), undefined);
  assert.equal(later({ sampledAtMs: 0 }), undefined);
  assert.equal(later({ sampledAtMs: 3_600_000 }), undefined);
  assert.equal(later({ cpuSeconds: 3 })?.cpuCores, undefined);
  const another = disk === undefined ? [] : [disk, { ...disk, device: "vdb" }];
  const known = Object.entries(later({ disks: another, nics: nic === undefined ? [] : [nic] }) ?? {})
    .filter(([, value]) => value !== undefined)
    .map(([name]) => name);
  assert.deepEqual(known.sort(), ["cpuCores", "receiveBytesPerSecond", "transmitBytesPerSecond"]);
});

test("the table has rates from a VM's second sample on, and publishes the end of a round", async () => {
  const table = new VmTable();
  const { stats: _, ...fresh } = vm(1);
  table.put(fresh);
  table.putStats(fresh.id, before);
  assert.equal(table.get(fresh.id)?.stats?.rates, undefined);
  table.putStats(fresh.id, { ...before, sampledAtMonotonicMs: 10_000, cpuSeconds: 20 });
  assert.equal(table.get(fresh.id)?.stats?.rates?.cpuCores, 1);

  // The next guest's counters restart, whatever their value when they are read.
  const running: Vm = { ...(table.get(fresh.id) ?? fresh), stats: undefined };
  table.put({ ...running, state: "stopped" });
  assert.equal(table.get(fresh.id)?.stats, undefined);
  table.putStats(fresh.id, { ...before, sampledAtMonotonicMs: 20_000, cpuSeconds: 30 });
  assert.equal(table.get(fresh.id)?.stats, undefined, "readings from before the stop");
  table.put(running);
  table.putStats(fresh.id, { ...before, sampledAtMonotonicMs: 30_000, cpuSeconds: 40 });
  assert.equal(table.get(fresh.id)?.stats?.cpuSeconds, 40);
  assert.equal(table.get(fresh.id)?.stats?.rates, undefined);

  const stop = new AbortController();
  const rounds = table.rounds(stop.signal);
  table.sampled({ atMs: 10_000, atMonotonicMs: 10_000, durationMs: 1, ok: true });
  stop.abort();
  const seen = [];
  for await (const round of rounds) seen.push(round.kind);
  assert.deepEqual(seen, ["item"]);
});
