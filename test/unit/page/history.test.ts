import assert from "node:assert/strict";
import { test } from "node:test";
import { History, ROUNDS_KEPT } from "../../../agent/page/history.ts";
import { rangesOf } from "../../../agent/kernel/text/cpu-list.ts";
import type { Vm } from "../../../agent/vm/model/vm.ts";
import { stats, vm } from "../../support/metrics/fixed-sources.ts";

const sampled = (index: number, atMs: number, cpuCores: number): Vm =>
  vm(index, { stats: stats(index, { sampledAtMs: atMs, rssBytes: 1000, rates: { cpuCores } }) });

test("each VM has a ring of its last rounds, in order, with gaps where nothing was read", () => {
  const history = new History();
  for (let round = 1; round <= ROUNDS_KEPT + 5; round += 1) {
    // In every tenth round the second VM does not answer.
    const second =
      round % 10 === 0 ? vm(2, { stats: stats(2, { unresponsive: true }) }) : sampled(2, round, round);
    history.record({ all: () => [sampled(1, round, round / 4), second] }, round);
  }
  assert.deepEqual(
    history.endedAtMs,
    Array.from({ length: ROUNDS_KEPT }, (_, index) => index + 6),
  );
  const first = history.of(history.keyOf(vm(1).id)) ?? [];
  assert.equal(first.length, ROUNDS_KEPT);
  assert.deepEqual(first[0], [1.5, 1000, null, null]);
  assert.deepEqual(first.at(-1), [16.25, 1000, null, null]);
  const second = history.of(history.keyOf(vm(2).id)) ?? [];
  assert.deepEqual(second.map(([cpu]) => cpu).slice(3, 6), [9, null, 11]);
});

test("a reading is added once: a round without one leaves a gap, not the previous value", () => {
  const history = new History();
  const all = (): Vm[] => [sampled(1, 100, 1)];
  history.record({ all }, 100);
  history.record({ all }, 200);
  assert.deepEqual(
    history.of(1)?.map(([cpu]) => cpu),
    [1, null],
  );
  assert.deepEqual(history.newest(), {});
});

test("a clock that is set back leaves no gap", () => {
  const history = new History();
  for (const [round, atMs] of [1000, 1010, 10, 20].entries()) {
    const reading = stats(1, { sampledAtMs: atMs, sampledAtMonotonicMs: round, rates: { cpuCores: round } });
    history.record({ all: () => [vm(1, { stats: reading })] }, atMs);
  }
  assert.deepEqual(
    history.of(1)?.map(([cpu]) => cpu),
    [0, 1, 2, 3],
  );
});

test("a rate with two directions needs both", () => {
  const history = new History();
  const reading = stats(1, {
    rates: { receiveBytesPerSecond: 5, diskReadBytesPerSecond: 1, diskWriteBytesPerSecond: 2 },
  });
  history.record({ all: () => [vm(1, { stats: reading })] }, 1);
  assert.deepEqual(Object.values(history.newest())[0]?.slice(2), [3, null]);
});

test("a ring is removed with its VM, and its key is never used again", () => {
  const history = new History();
  history.record({ all: () => [sampled(1, 1, 1), sampled(2, 1, 1)] }, 1);
  const key = history.keyOf(vm(1).id);
  history.record({ all: () => [sampled(2, 2, 1)] }, 2);
  assert.equal(history.of(key), undefined);
  history.record({ all: () => [sampled(1, 3, 1), sampled(2, 3, 1)] }, 3);
  assert.notEqual(history.keyOf(vm(1).id), key);
  assert.deepEqual(Object.keys(history.newest()).length, 2);
});

test("CPUs are listed in the kernel's format", () => {
  assert.equal(rangesOf([0, 1, 2, 8, 10, 9, 31]), "0-2,8-10,31");
  assert.equal(rangesOf([3, 2, 3, 2, 7, 7]), "2-3,7");
  assert.equal(rangesOf([]), "");
});
