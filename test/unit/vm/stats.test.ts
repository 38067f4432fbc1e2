import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { decodeStats } from "../../../agent/vm/stats.ts";
import { recordedGuests, type RecordedGuest } from "../../bench/recorded-guests.ts";

const at = { sampledAtMs: 5, sampledAtMonotonicMs: 7 };

test("what a real libvirt told of a real guest, in base units", async () => {
  const recorded = JSON.parse(await readFile(recordedGuests, "utf8")) as RecordedGuest[];
  const guest = recorded.find(({ dom }) => dom.name === "bench-2");
  const fields = new Map(guest?.params.map(({ field, value }) => [field, value.value]));
  const { vcpus, nics, disks, ...rest } = decodeStats(fields, at);
  assert.deepEqual(rest, {
    ...at,
    unresponsive: false,
    cpuSeconds: 11.984186,
    cpuUserSeconds: 11.047298,
    cpuSystemSeconds: 0.936888,
    balloonBytes: 96 * 2 ** 20,
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
    guestSaidAtMs: 1795560287000,
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
  assert.equal(disks[0]?.device, "vda");
  assert.equal(disks[0].readSeconds, 735472 / 1e9);
  assert.equal(disks[0].physicalBytes, 1052672);
});

test("what was not told stays away, and what has no name or state is not there", () => {
  const stats = decodeStats(
    new Map<string, number | string>([
      ["vcpu.current", 2],
      ["vcpu.maximum", 4],
      ["vcpu.0.state", 1],
      ["vcpu.0.time", 1e9],
      ["vcpu.2.state", 1],
      ["vcpu.2.time", 2e9],
      ["net.count", 2],
      ["net.1.name", "vnet1"],
      ["block.count", 4e9],
    ]),
    at,
  );
  // Without what is undefined.
  assert.deepEqual(JSON.parse(JSON.stringify(stats)), {
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
