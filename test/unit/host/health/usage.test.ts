import assert from "node:assert/strict";
import { test } from "node:test";
import { busyRatio, Usage } from "../../../../agent/host/health/usage.ts";
import { fixedReadings, fixedValues } from "../../../support/metrics/fixed-sources.ts";

test("CPU usage is all time but idle, with guest time counted once", () => {
  const before = { secondsByMode: { user: 10, idle: 100, iowait: 5, guest: 8 } };
  const after = { secondsByMode: { user: 16, idle: 110, iowait: 9, guest: 14 } };
  assert.equal(busyRatio(before, after), 0.3);
  assert.equal(busyRatio(undefined, after), undefined);
  assert.equal(busyRatio(after, after), undefined);
});

test("a missing or old reading is absent", () => {
  const whole = new Usage(fixedReadings(fixedValues));
  whole.look();
  const { cpuBusyRatio, ...rest } = whole.now();
  assert.equal(cpuBusyRatio, undefined); // one read gives no rate
  assert.equal(rest.memoryAvailableBytes, 10 * 2 ** 30);
  assert.deepEqual(rest.cells, [{ id: 0, memoryFreeBytes: 2 ** 30 }]);
  const old = fixedValues.memory && { ...fixedValues.memory, ageMs: 60_000 };
  const usage = new Usage(fixedReadings(old === undefined ? {} : { memory: old }));
  assert.deepEqual(usage.now(), { readAtMs: 0, cells: [] });
});
