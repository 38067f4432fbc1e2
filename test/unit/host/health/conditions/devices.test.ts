import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { readBonds, type Bond } from "../../../../../agent/hardware/network/bonding.ts";
import { runChild } from "../../../../../agent/hardware/privileged/child.ts";
import { readDisks } from "../../../../../agent/hardware/storage/disks.ts";
import { MountWatch } from "../../../../../agent/hardware/storage/mount-watch.ts";
import { readRaid } from "../../../../../agent/hardware/storage/raid.ts";
import type { Reading } from "../../../../../agent/hardware/reading.ts";
import { SmartProbe } from "../../../../../agent/hardware/storage/smart.ts";
import type { TimeSync } from "../../../../../agent/hardware/system/time-sync.ts";
import { unpackHost } from "../../../../support/tree.ts";

import { driven, read } from "../../../../support/host/driven-health.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const never = new AbortController().signal;

test("a worn disk degrades the host, a failing one forbids new VMs, and both are named", async (context) => {
  const host = await unpackHost(context, "worn-compute-node");
  const limits = { timeoutMs: 60_000, maxOutputBytes: 1024 ** 2, anyExitCode: true };
  const probe = new SmartProbe(host, (disk) =>
    runChild(["cat", join(host.root, "smartctl", `${disk}.json`)], limits),
  );
  const reading = await probe.read(never);
  assert.ok(reading.kind === "read");
  const { report, is, why, acknowledge } = driven();
  report("disks", await readDisks(host));
  report("diskHealth", reading);
  assert.equal(is("DiskWear"), "true degraded DiskWornOut");
  assert.match(
    why("DiskWear"),
    /^nvme1 \(SAMSUNG MZQL23T8HCLS-00A07, serial S64HNE0R100002\) is worn to 93\.0%/,
  );
  assert.equal(is("DiskFailing"), "true no_schedule DiskPredictsFailure");
  assert.match(why("DiskFailing"), /^nvme2 .*spare blocks are used up, it takes no more writes, 4\.0% of/);
  // Both are replaced.
  const [healthy] = reading.value;
  assert.ok(healthy !== undefined);
  report("diskHealth", read([healthy, healthy]));
  assert.equal(is("DiskWear"), "false none Healthy");
  acknowledge("DiskFailing");
  report("diskHealth", read([healthy, healthy]));
  assert.equal(is("DiskFailing"), "false none Healthy");
  const failed = { ...healthy, health: { kind: "failed", reason: "it does not answer" } as const };
  report("diskHealth", read([healthy, failed]), MINUTE, 3 * MINUTE);
  assert.equal(is("DiskFailing"), "unknown degraded Unknown");
  const dead = { ...healthy.disk, state: "dead" };
  report("disks", read([healthy.disk, dead]));
  assert.equal(is("DiskFailing"), "true no_schedule DiskControllerDead");
});

test("a failed disk that disappears from the bus stays latched until it is acknowledged", () => {
  const disk = (name: string, state: string) => ({
    name,
    model: "SAMSUNG MZQL23T8HCLS",
    serial: `S64HNE-${name}`,
    firmware: "GDC5602Q",
    asleep: false,
    state,
  });
  const { report, is, why, schedulable, allGood, acknowledge } = driven();
  allGood();
  report("disks", read([disk("nvme0", "live"), disk("nvme1", "dead")]));
  report("disks", read([disk("nvme0", "live")]), MINUTE, 60 * MINUTE);
  assert.equal(is("DiskFailing"), "true no_schedule DiskControllerDead");
  assert.equal(why("DiskFailing"), "nvme1 (SAMSUNG MZQL23T8HCLS, serial S64HNE-nvme1) is dead");
  assert.equal(schedulable(), "false");
  acknowledge("DiskFailing");
  report("disks", read([disk("nvme0", "live"), disk("nvme2", "live")]));
  assert.equal(is("DiskFailing"), "false none Healthy");
});

test("a RAID without a disk is degraded until in sync for 5 minutes; one that does not run forbids VMs", async (context) => {
  const { report, is, why } = driven();
  report("raid", await readRaid(await unpackHost(context, "worn-compute-node")));
  assert.equal(is("RaidDegraded"), "true degraded RaidDiskMissing");
  assert.equal(why("RaidDegraded"), "md0 (raid1) lacks 1 of 2 disks");
  report("raid", await readRaid(await unpackHost(context, "qemu-storage-guest")));
  assert.match(why("RaidDegraded"), /lacks 1 of 2 disks and is rebuilding/);
  const whole = read([{ name: "md0", level: "raid1", state: "active", disks: 2, degradedDisks: 0 } as const]);
  report("raid", whole, 10 * SECOND, 4 * MINUTE);
  assert.equal(is("RaidDegraded"), "true degraded RaidDiskMissing");
  report("raid", whole, 10 * SECOND, MINUTE);
  assert.equal(is("RaidDegraded"), "false none Healthy");
  report("raid", read([{ name: "md0", level: "raid1", state: "inactive" }]));
  assert.equal(is("RaidDegraded"), "true evacuate RaidInactive");
});

test("a read-only filesystem forbids new VMs; below the VMs' disks it asks for an evacuation", async (context) => {
  const watch = new MountWatch(await unpackHost(context, "worn-compute-node"));
  const healthy = await watch.read(["/var/lib/socle"], ["/var/lib/libvirt/images"]);
  assert.ok(healthy.kind === "read");
  const turned = (mountPoint: string) =>
    read(healthy.value.map((mount) => ({ ...mount, readOnly: mount.mountPoint === mountPoint })));
  const { report, is, why, acknowledge } = driven();
  report("mounts", healthy);
  assert.equal(is("FilesystemReadOnly"), "false none Healthy");
  report("mounts", turned("/"));
  assert.equal(is("FilesystemReadOnly"), "true no_schedule FilesystemReadOnly");
  assert.equal(why("FilesystemReadOnly"), "/ (ext4 on /dev/md0) turned read-only");
  report("mounts", turned("/var/lib/libvirt/images"));
  assert.equal(is("FilesystemReadOnly"), "true evacuate VmFilesystemReadOnly");
  report("mounts", healthy, MINUTE, 60 * MINUTE);
  assert.equal(is("FilesystemReadOnly"), "true evacuate VmFilesystemReadOnly", "latched until acknowledged");
  acknowledge("FilesystemReadOnly");
  report("mounts", healthy);
  assert.equal(is("FilesystemReadOnly"), "false none Healthy");
});

test("a bond fails with all links down for 30 s or one for 5 minutes, and recovers after 5 good minutes", async (context) => {
  const half = await readBonds(await unpackHost(context, "worn-compute-node"));
  assert.ok(half.kind === "read");
  const links = (up: boolean): Reading<readonly Bond[]> =>
    read(half.value.map((bond) => ({ ...bond, slaves: bond.slaves.map((slave) => ({ ...slave, up })) })));
  const every = 10 * SECOND;
  const { report, is, why } = driven();
  report("bonds", links(true), every, MINUTE);
  report("bonds", half, every, 4 * MINUTE);
  assert.equal(is("BondDegraded"), "false none Healthy");
  report("bonds", half, every, MINUTE);
  assert.equal(is("BondDegraded"), "true degraded BondSlaveDown");
  assert.equal(why("BondDegraded"), "bond0 has 1 of 2 links up, down: ens1f1np1");
  report("bonds", links(false), every, 20 * SECOND);
  assert.equal(is("BondDegraded"), "true degraded BondSlaveDown");
  report("bonds", links(false), every, 10 * SECOND);
  assert.equal(is("BondDegraded"), "true no_schedule BondDown");
  report("bonds", links(true), every, 4 * MINUTE);
  assert.equal(is("BondDegraded"), "true no_schedule BondDown");
  report("bonds", links(true), every, MINUTE);
  assert.equal(is("BondDegraded"), "false none Healthy");
});

test("a link whose card disappears counts as missing until its bond has as many again or is removed", () => {
  const bond = (...links: string[]): Reading<readonly Bond[]> =>
    read([{ name: "bond0", mode: "802.3ad", slaves: links.map((name) => ({ name, up: true })) }]);
  const every = 10 * SECOND;
  const { report, is, why } = driven();
  report("bonds", bond());
  assert.equal(is("BondDegraded"), "unknown none NotPresent", "never in use");
  report("bonds", bond("eth0", "eth1"), every, MINUTE);
  report("bonds", bond("eth0"), every, 5 * MINUTE);
  assert.equal(is("BondDegraded"), "true degraded BondSlaveDown");
  assert.equal(why("BondDegraded"), "bond0 has 1 of 2 links up, gone: eth1");
  report("bonds", bond(), every, 30 * SECOND);
  assert.equal(is("BondDegraded"), "true no_schedule BondDown");
  assert.equal(why("BondDegraded"), "bond0 has 0 of 2 links up, gone: eth0, eth1");
  // Other cards in their place.
  report("bonds", bond("eth4", "eth5"), every, 5 * MINUTE);
  assert.equal(is("BondDegraded"), "false none Healthy");
  // Removed, and created again with one link.
  report("bonds", read([]));
  report("bonds", bond("eth4"), every, 6 * MINUTE);
  assert.equal(is("BondDegraded"), "false none Healthy");
});

test("two bonds that are down in turn are counted separately", () => {
  const bond = (name: string, up: boolean): Bond => ({
    name,
    slaves: [{ name: `${name}-link`, up }],
  });
  const { report, is } = driven();
  for (let turn = 0; turn < 6; turn += 1) {
    const firstIsUp = turn % 2 === 0;
    report("bonds", read([bond("bond0", firstIsUp), bond("bond1", !firstIsUp)]), 10 * SECOND, 20 * SECOND);
  }
  assert.equal(is("BondDegraded"), "false none Healthy");
});

test("a clock unsynchronized for 10 minutes forbids new VMs until 10 good minutes have passed", () => {
  const clock = (synced: boolean): Reading<TimeSync> => read({ source: "chrony", synced });
  const { report, is } = driven();
  report("clock", clock(true));
  report("clock", clock(false), MINUTE, MINUTE);
  assert.equal(is("ClockUnsynced"), "false none Healthy");
  // Meanwhile its offset is unknown.
  report("clock", clock(false), MINUTE, 8 * MINUTE);
  assert.equal(is("ClockUnsynced"), "unknown degraded Unknown");
  report("clock", clock(false), MINUTE, MINUTE);
  assert.equal(is("ClockUnsynced"), "true no_schedule ClockNotSynced");
  report("clock", clock(true), MINUTE, 9 * MINUTE);
  assert.equal(is("ClockUnsynced"), "true no_schedule ClockNotSynced");
  report("clock", clock(true), MINUTE, MINUTE);
  assert.equal(is("ClockUnsynced"), "false none Healthy");
});

test("a host without required time synchronization may have an unsynchronized clock", () => {
  const { report, is } = driven({ requireSyncedClock: false });
  report("clock", read({ source: "kernel", synced: false }), MINUTE, 20 * MINUTE);
  assert.equal(is("ClockUnsynced"), "false none Healthy");
});

test("a drifting clock degrades the host however noisy it is; a single good value does not end it", () => {
  const off = (milliseconds: number): Reading<TimeSync> =>
    read({ source: "chrony", synced: true, offsetSeconds: milliseconds / 1000 });
  for (const perMinute of [10, 0]) {
    const { report, is } = driven();
    report("clock", off(1));
    for (let minute = 0; minute <= 12; minute += 1) {
      const dip = minute % 2 === 0 ? 0 : perMinute + 1;
      report("clock", off(60 + perMinute * minute - dip), MINUTE, MINUTE);
      if (minute === 8) assert.equal(is("ClockUnsynced"), "false none Healthy");
    }
    assert.equal(is("ClockUnsynced"), "true degraded ClockOffsetHigh");
  }
});

test("a clock beyond 50 ms that drifts on degrades; one being corrected does not; an unknown one is not healthy", () => {
  const off = (milliseconds: number): Reading<TimeSync> =>
    read({ source: "chrony", synced: true, offsetSeconds: milliseconds / 1000 });
  const { report, is, why } = driven();
  for (let minute = 0; minute <= 20; minute += 1) report("clock", off(400 - 15 * minute), MINUTE, MINUTE);
  assert.equal(is("ClockUnsynced"), "false none Healthy");
  report("clock", off(-60), MINUTE, 11 * MINUTE);
  assert.equal(is("ClockUnsynced"), "true degraded ClockOffsetHigh");
  assert.equal(why("ClockUnsynced"), "by chrony the clock is 60.000 ms ahead, 50 ms is the limit");
  report("clock", off(40), MINUTE, 20 * MINUTE);
  assert.equal(is("ClockUnsynced"), "true degraded ClockOffsetHigh");
  report("clock", off(2), MINUTE, 11 * MINUTE);
  assert.equal(is("ClockUnsynced"), "false none Healthy");
  report("clock", { kind: "unsupported", reason: "no source" }, MINUTE, 3 * MINUTE);
  assert.equal(is("ClockUnsynced"), "unknown degraded Unknown");
});
