import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { Shapes } from "../../../../agent/vm/observation/stat-fields.ts";
import { marked, RoundValues, SampledStats } from "../../../../agent/vm/observation/stats.ts";
import type { VmStats } from "../../../../agent/vm/model/vm.ts";
import { recordedGuests, type RecordedGuest } from "../../../bench/recorded-guests.ts";

const at = { sampledAtMs: 5, sampledAtMonotonicMs: 7 };
const dom = { name: "a", uuid: "a", id: 1 };

type Params = ReadonlyMap<string, number | string | boolean>;

function sampled(reported: Params, shapes = new Shapes(), round = new RoundValues(0)): SampledStats {
  const params = { fields: [...reported.keys()], values: [...reported.values()] };
  return new SampledStats(shapes.of(dom, params), round.take(params.values), at);
}

/** The answer, with its fields as own properties and without undefined ones. */
function plain(reported: object): Record<string, unknown> {
  const getters: string[] = [];
  for (let from = reported; from !== Object.prototype; from = Object.getPrototypeOf(from) as object)
    for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(from)))
      if (property.get !== undefined) getters.push(name);
  const requested = getters.map((name) => [name, (reported as Record<string, unknown>)[name]] as const);
  const of = (value: unknown): unknown =>
    Array.isArray(value) ? value.map((part: object) => plain(part)) : value;
  return Object.fromEntries(
    [...Object.entries(reported), ...requested]
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, of(value)]),
  );
}

test("the stats of a real libvirt and guest are read in base units", async () => {
  const recorded = JSON.parse(await readFile(recordedGuests, "utf8")) as RecordedGuest[];
  const guest = recorded.find(({ dom }) => dom.name === "bench-2");
  const fields = new Map(guest?.params.map(({ field, value }) => [field, value.value]));
  const { vcpus, nics, disks, ...rest } = plain(sampled(fields));
  assert.deepEqual(rest, {
    ...at,
    unresponsive: false,
    cpuSeconds: 11.984186,
    cpuUserSeconds: 11.047298,
    cpuSystemSeconds: 0.936888,
    balloonBytes: 96 * 2 ** 20,
    countedBalloonBytes: 96 * 2 ** 20,
    balloonMaximumBytes: 96 * 2 ** 20,
    rssBytes: 191728 * 1024,
    guestAvailableBytes: 56400 * 1024,
    guestUsableBytes: 33652 * 1024,
    guestUnusedBytes: 34664 * 1024,
    guestDiskCachesBytes: 2752 * 1024,
    guestSwapInBytes: 0,
    guestSwapOutBytes: 0,
    guestMajorFaults: 0,
    guestMinorFaults: 624,
    guestReportedAtMs: 1795560287000,
  });
  assert.deepEqual(vcpus, [
    { index: 0, seconds: 7.49, waitSeconds: 0, delaySeconds: 12.796815627 },
    { index: 1, seconds: 3.6, waitSeconds: 0, delaySeconds: 10.629457406 },
  ]);
  assert.deepEqual(nics, [
    {
      device: "vnet2",
      receiveBytes: 2188,
      receivePackets: 26,
      receiveErrors: 0,
      receiveDrops: 0,
      transmitBytes: 266,
      transmitPackets: 3,
      transmitErrors: 0,
      transmitDrops: 0,
    },
  ]);
  const [disk] = disks as Record<string, unknown>[];
  assert.deepEqual(
    [disk?.["device"], disk?.["readSeconds"], disk?.["physicalBytes"]],
    ["vda", 735472 / 1e9, 1052672],
  );
});

test("what a guest has that has grown is not known from libvirt's count of its balloon", () => {
  const stats = sampled(new Map([["balloon.current", 512]]));
  assert.equal(marked(stats, { isGrown: true }).balloonBytes, undefined);
  assert.equal(marked(marked(stats, { isGrown: true }), { unresponsive: true }).balloonBytes, undefined);
  assert.equal(marked(stats, { unresponsive: true }).balloonBytes, 512 * 1024);
});

test("missing values are left out, and a record without name or state is dropped", () => {
  const stats = sampled(
    new Map<string, number | string>([
      ["vcpu.current", 2],
      ["vcpu.maximum", 4],
      ["vcpu.0.state", 1],
      ["vcpu.0.time", 1e9],
      ["vcpu.2.state", 1],
      ["vcpu.2.time", 2e9],
      ["net.count", 2],
      ["net.0.name", ""],
      ["net.1.name", "vnet1"],
      ["block.count", 4e9],
    ]),
  );
  assert.deepEqual(plain(stats), {
    ...at,
    unresponsive: false,
    vcpus: [
      { index: 0, seconds: 1 },
      { index: 2, seconds: 2 },
    ],
    nics: [{ device: "vnet1" }],
    disks: [],
  });
});

test("readings do not change when the next ones arrive or when they are marked", () => {
  const shapes = new Shapes();
  const round = new RoundValues(3);
  const reported = (device: string, bytes: number): Params =>
    new Map<string, number | string>([
      ["cpu.time", bytes * 1e9],
      ["net.count", 1],
      ["net.0.name", device],
      ["net.0.rx.bytes", bytes],
    ]);
  const seen = (stats: VmStats): unknown[] => [
    stats.cpuSeconds,
    stats.nics.map(({ device, receiveBytes }) => [device, receiveBytes]),
  ];
  const first = sampled(reported("vnet0", 1), shapes, round);
  const second = sampled(reported("vnet0", 2), shapes, round);
  const renamed = sampled(reported("vnet7", 3), shapes, round);
  const fewer = sampled(new Map([["cpu.time", 4e9]]), shapes, new RoundValues(1000));
  const hung = marked(second, { unresponsive: true });
  assert.deepEqual([first, second, renamed, fewer, hung].map(seen), [
    [1, [["vnet0", 1]]],
    [2, [["vnet0", 2]]],
    [3, [["vnet7", 3]]],
    [4, []],
    [2, [["vnet0", 2]]],
  ]);
  assert.deepEqual([second.unresponsive, hung.unresponsive, hung.sampledAtMs], [false, true, 5]);
});
