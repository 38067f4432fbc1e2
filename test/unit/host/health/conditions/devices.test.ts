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

test("a worn disk degrades the host, one that fails keeps new VMs away, and both are named", async (context) => {
  const host = await unpackHost(context, "worn-compute-node");
  const limits = { timeoutMs: 60_000, maxOutputBytes: 1024 ** 2, anyExitCode: true };
  const probe = new SmartProbe(host, (disk) =>
    runChild(["cat", join(host.root, "smartctl", `${disk}.json`)], limits),
  );
  const reading = await probe.read(never);
  assert.ok(reading.kind === "read");
  const { say, is, why, acknowledge } = driven();
  say("disks", await readDisks(host));
  say("diskHealth", reading);
  assert.equal(is("DiskWear"), "true degraded DiskWornOut");
  assert.match(
    why("DiskWear"),
    /^nvme1 \(SAMSUNG MZQL23T8HCLS-00A07, serial S64HNE0R100002\) is worn to 93\.0%/,
  );
  assert.equal(is("DiskFailing"), "true no_schedule DiskSaysItFails");
  assert.match(why("DiskFailing"), /^nvme2 .*spare blocks are used up, it takes no more writes, 4\.0% of/);
  // Both are replaced.
  const [healthy] = reading.value;
  assert.ok(healthy !== undefined);
  say("diskHealth", read([healthy, healthy]));
  assert.equal(is("DiskWear"), "false none Healthy");
  acknowledge("DiskFailing");
  say("diskHealth", read([healthy, healthy]));
  assert.equal(is("DiskFailing"), "false none Healthy");
  const failed = { ...healthy, health: { kind: "failed", reason: "it does not answer" } as const };
  say("diskHealth", read([healthy, failed]), MINUTE, 3 * MINUTE);
  assert.equal(is("DiskFailing"), "unknown degraded Unknown");
  const dead = { ...healthy.disk, state: "dead" };
  say("disks", read([healthy.disk, dead]));
  assert.equal(is("DiskFailing"), "true no_schedule DiskControllerDead");
});

test("a disk that failed and falls off the bus is not replaced by that: it is held until somebody has looked", () => {
  const disk = (name: string, state: string) => ({
    name,
    model: "SAMSUNG MZQL23T8HCLS",
    serial: `S64HNE-${name}`,
    firmware: "GDC5602Q",
    asleep: false,
    state,
  });
  const { say, is, why, schedulable, allGood, acknowledge } = driven();
  allGood();
  say("disks", read([disk("nvme0", "live"), disk("nvme1", "dead")]));
  say("disks", read([disk("nvme0", "live")]), MINUTE, 60 * MINUTE);
  assert.equal(is("DiskFailing"), "true no_schedule DiskControllerDead");
  assert.equal(why("DiskFailing"), "nvme1 (SAMSUNG MZQL23T8HCLS, serial S64HNE-nvme1) is dead");
  assert.equal(schedulable(), "false");
  acknowledge("DiskFailing");
  say("disks", read([disk("nvme0", "live"), disk("nvme2", "live")]));
  assert.equal(is("DiskFailing"), "false none Healthy");
});

test("a RAID that misses a disk, until it was in sync for 5 minutes; one that does not run", async (context) => {
  const { say, is, why } = driven();
  say("raid", await readRaid(await unpackHost(context, "worn-compute-node")));
  assert.equal(is("RaidDegraded"), "true degraded RaidMissesDisk");
  assert.equal(why("RaidDegraded"), "md0 (raid1) lacks 1 of 2 disks");
  say("raid", await readRaid(await unpackHost(context, "qemu-storage-guest")));
  assert.match(why("RaidDegraded"), /lacks 1 of 2 disks and is rebuilding/);
  const whole = read([{ name: "md0", level: "raid1", state: "active", disks: 2, degradedDisks: 0 } as const]);
  say("raid", whole, 10 * SECOND, 4 * MINUTE);
  assert.equal(is("RaidDegraded"), "true degraded RaidMissesDisk");
  say("raid", whole, 10 * SECOND, MINUTE);
  assert.equal(is("RaidDegraded"), "false none Healthy");
  say("raid", read([{ name: "md0", level: "raid1", state: "inactive" }]));
  assert.equal(is("RaidDegraded"), "true evacuate RaidInactive");
});

test("a read-only filesystem keeps new VMs away; under the VMs' disks it is to be left", async (context) => {
  const watch = new MountWatch(await unpackHost(context, "worn-compute-node"));
  const healthy = await watch.read(["/var/lib/socle"], ["/var/lib/libvirt/images"]);
  assert.ok(healthy.kind === "read");
  const turned = (mountPoint: string) =>
    read(healthy.value.map((mount) => ({ ...mount, readOnly: mount.mountPoint === mountPoint })));
  const { say, is, why, acknowledge } = driven();
  say("mounts", healthy);
  assert.equal(is("FilesystemReadOnly"), "false none Healthy");
  say("mounts", turned("/"));
  assert.equal(is("FilesystemReadOnly"), "true no_schedule FilesystemReadOnly");
  assert.equal(why("FilesystemReadOnly"), "/ (ext4 on /dev/md0) turned read-only");
  say("mounts", turned("/var/lib/libvirt/images"));
  assert.equal(is("FilesystemReadOnly"), "true evacuate VmFilesystemReadOnly");
  say("mounts", healthy, MINUTE, 60 * MINUTE);
  assert.equal(
    is("FilesystemReadOnly"),
    "true evacuate VmFilesystemReadOnly",
    "held until somebody has looked",
  );
  acknowledge("FilesystemReadOnly");
  say("mounts", healthy);
  assert.equal(is("FilesystemReadOnly"), "false none Healthy");
});

test("a bond: all links down for 30 s, one down for 5 minutes, and 5 good minutes to leave", async (context) => {
  const half = await readBonds(await unpackHost(context, "worn-compute-node"));
  assert.ok(half.kind === "read");
  const links = (up: boolean): Reading<readonly Bond[]> =>
    read(half.value.map((bond) => ({ ...bond, slaves: bond.slaves.map((slave) => ({ ...slave, up })) })));
  const every = 10 * SECOND;
  const { say, is, why } = driven();
  say("bonds", links(true), every, MINUTE);
  say("bonds", half, every, 4 * MINUTE);
  assert.equal(is("BondDegraded"), "false none Healthy");
  say("bonds", half, every, MINUTE);
  assert.equal(is("BondDegraded"), "true degraded BondSlaveDown");
  assert.equal(why("BondDegraded"), "bond0 has 1 of 2 links up, down: ens1f1np1");
  say("bonds", links(false), every, 20 * SECOND);
  assert.equal(is("BondDegraded"), "true degraded BondSlaveDown");
  say("bonds", links(false), every, 10 * SECOND);
  assert.equal(is("BondDegraded"), "true no_schedule BondDown");
  say("bonds", links(true), every, 4 * MINUTE);
  assert.equal(is("BondDegraded"), "true no_schedule BondDown");
  say("bonds", links(true), every, MINUTE);
  assert.equal(is("BondDegraded"), "false none Healthy");
});

test("a link whose card falls off the bus leaves its bond, and is missed until the bond has as many again or is gone", () => {
  const bond = (...links: string[]): Reading<readonly Bond[]> =>
    read([{ name: "bond0", mode: "802.3ad", slaves: links.map((name) => ({ name, up: true })) }]);
  const every = 10 * SECOND;
  const { say, is, why } = driven();
  say("bonds", bond());
  assert.equal(is("BondDegraded"), "unknown none NotPresent", "never in use");
  say("bonds", bond("eth0", "eth1"), every, MINUTE);
  say("bonds", bond("eth0"), every, 5 * MINUTE);
  assert.equal(is("BondDegraded"), "true degraded BondSlaveDown");
  assert.equal(why("BondDegraded"), "bond0 has 1 of 2 links up, gone: eth1");
  say("bonds", bond(), every, 30 * SECOND);
  assert.equal(is("BondDegraded"), "true no_schedule BondDown");
  assert.equal(why("BondDegraded"), "bond0 has 0 of 2 links up, gone: eth0, eth1");
  // Other cards in their place.
  say("bonds", bond("eth4", "eth5"), every, 5 * MINUTE);
  assert.equal(is("BondDegraded"), "false none Healthy");
  // Taken away, and made anew with one link.
  say("bonds", read([]));
  say("bonds", bond("eth4"), every, 6 * MINUTE);
  assert.equal(is("BondDegraded"), "false none Healthy");
});

test("two bonds that are down in turn are each counted by themselves", () => {
  const bond = (name: string, up: boolean): Bond => ({
    name,
    slaves: [{ name: `${name}-link`, up }],
  });
  const { say, is } = driven();
  for (let turn = 0; turn < 6; turn += 1) {
    const firstIsUp = turn % 2 === 0;
    say("bonds", read([bond("bond0", firstIsUp), bond("bond1", !firstIsUp)]), 10 * SECOND, 20 * SECOND);
  }
  assert.equal(is("BondDegraded"), "false none Healthy");
});

test("a clock that nobody keeps for 10 minutes keeps new VMs away, for 10 good minutes more", () => {
  const clock = (synced: boolean): Reading<TimeSync> => read({ source: "chrony", synced });
  const { say, is } = driven();
  say("clock", clock(true));
  say("clock", clock(false), MINUTE, MINUTE);
  assert.equal(is("ClockUnsynced"), "false none Healthy");
  // How far off it is nobody knows meanwhile.
  say("clock", clock(false), MINUTE, 8 * MINUTE);
  assert.equal(is("ClockUnsynced"), "unknown degraded Unknown");
  say("clock", clock(false), MINUTE, MINUTE);
  assert.equal(is("ClockUnsynced"), "true no_schedule ClockNotSynced");
  say("clock", clock(true), MINUTE, 9 * MINUTE);
  assert.equal(is("ClockUnsynced"), "true no_schedule ClockNotSynced");
  say("clock", clock(true), MINUTE, MINUTE);
  assert.equal(is("ClockUnsynced"), "false none Healthy");
});

test("where nobody needs to keep the clock, nobody has to", () => {
  const { say, is } = driven({ requireSyncedClock: false });
  say("clock", read({ source: "kernel", synced: false }), MINUTE, 20 * MINUTE);
  assert.equal(is("ClockUnsynced"), "false none Healthy");
});

test("a clock that drifts degrades however noisy it is; a dip now and then does not mend it", () => {
  const off = (milliseconds: number): Reading<TimeSync> =>
    read({ source: "chrony", synced: true, offsetSeconds: milliseconds / 1000 });
  for (const perMinute of [10, 0]) {
    const { say, is } = driven();
    say("clock", off(1));
    for (let minute = 0; minute <= 12; minute += 1) {
      const dip = minute % 2 === 0 ? 0 : perMinute + 1;
      say("clock", off(60 + perMinute * minute - dip), MINUTE, MINUTE);
      if (minute === 8) assert.equal(is("ClockUnsynced"), "false none Healthy");
    }
    assert.equal(is("ClockUnsynced"), "true degraded ClockOffsetGrows");
  }
});

test("a clock that drifts on past 50 ms degrades; one that is being mended does not; not known is not fine", () => {
  const off = (milliseconds: number): Reading<TimeSync> =>
    read({ source: "chrony", synced: true, offsetSeconds: milliseconds / 1000 });
  const { say, is, why } = driven();
  for (let minute = 0; minute <= 20; minute += 1) say("clock", off(400 - 15 * minute), MINUTE, MINUTE);
  assert.equal(is("ClockUnsynced"), "false none Healthy");
  say("clock", off(-60), MINUTE, 11 * MINUTE);
  assert.equal(is("ClockUnsynced"), "true degraded ClockOffsetGrows");
  assert.equal(why("ClockUnsynced"), "by chrony the clock is 60.000 ms ahead, 50 ms is the limit");
  say("clock", off(40), MINUTE, 20 * MINUTE);
  assert.equal(is("ClockUnsynced"), "true degraded ClockOffsetGrows");
  say("clock", off(2), MINUTE, 11 * MINUTE);
  assert.equal(is("ClockUnsynced"), "false none Healthy");
  say("clock", { kind: "unsupported", reason: "nobody tells" }, MINUTE, 3 * MINUTE);
  assert.equal(is("ClockUnsynced"), "unknown degraded Unknown");
});
