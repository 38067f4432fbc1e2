import assert from "node:assert/strict";
import test from "node:test";
import { readRaid } from "../../../../agent/hardware/storage/raid.ts";
import { unpackHost } from "../../../support/tree.ts";

test("a degraded RAID1 is read beside a complete one; a container of external metadata is no array", async (context) => {
  assert.deepEqual(await readRaid(await unpackHost(context, "worn-compute-node")), {
    kind: "read",
    value: [
      { name: "md0", level: "raid1", state: "active", disks: 2, degradedDisks: 1 },
      { name: "md1", level: "raid1", state: "active", disks: 2, degradedDisks: 0 },
    ],
  });
});

test("a recorded rebuild is read: the disk is back and not in sync yet", async (context) => {
  assert.deepEqual(await readRaid(await unpackHost(context, "qemu-storage-guest")), {
    kind: "read",
    value: [{ name: "md0", level: "raid1", state: "recovering", disks: 2, degradedDisks: 1 }],
  });
});

test("stopped arrays are read, and one without redundancy", async (context) => {
  const host = await unpackHost(context, "qemu-storage-guest", {
    "sys/block/md0/md/array_state": "inactive",
    "sys/block/md1/md/array_state": "broken",
    "sys/block/md1/md/level": "raid0",
    "sys/block/md1/md/raid_disks": "3",
    "sys/block/md0/md/raid_disks": "",
    "sys/block/md2/md/array_state": "clear",
    "sys/block/md2/md/raid_disks": "0",
  });
  const reading = await readRaid(host);
  assert.ok(reading.kind === "read", JSON.stringify(reading));
  assert.deepEqual(
    reading.value.map(({ name, state, degradedDisks }) => [name, state, degradedDisks]),
    [
      ["md0", "inactive", 1],
      ["md1", "broken", undefined],
    ],
  );
});
