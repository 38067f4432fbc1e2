import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { configSchema, type Config } from "../../../agent/config/schema.ts";
import { readBonds, type Bond } from "../../../agent/hardware/bonding.ts";
import { runChild } from "../../../agent/hardware/child.ts";
import { readDisks } from "../../../agent/hardware/disks.ts";
import { MountWatch } from "../../../agent/hardware/mount-watch.ts";
import { readRaid } from "../../../agent/hardware/raid.ts";
import type { Reading } from "../../../agent/hardware/reading.ts";
import { SmartProbe } from "../../../agent/hardware/smart.ts";
import type { TimeSync } from "../../../agent/hardware/time-sync.ts";
import { hostConditions, type ConditionType } from "../../../agent/host/conditions/table.ts";
import { Health } from "../../../agent/host/health.ts";
import type { HostReadings, HostValue, ReaderName } from "../../../agent/host/readers/table.ts";
import { unpackHost } from "../../lab/tree.ts";
import { fixedReadings } from "../metrics/fixed-sources.ts";
import { FakeClock } from "./fake-clock.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const never = new AbortController().signal;

/** The health of a host whose readers say what they are told to, on a clock that is driven. */
function driven(health: Partial<Config["health"]> = {}) {
  const clock = new FakeClock();
  const at = () => ({ wallMs: clock.now(), monotonicMs: clock.monotonicMs() });
  const rules = hostConditions({ config: configSchema.parse({ health }), offersKvm: () => undefined });
  const held = new Health({
    rules,
    flapping: { flips: 3, withinMs: 30 * MINUTE },
    at: at(),
    onChange: () => undefined,
  });
  return {
    allGood: (): void => {
      for (const [type, triggers] of Object.entries(rules))
        for (const trigger of Object.keys(triggers))
          // The table's own names, which the compiler cannot see through a loop.
          held.observe(type as ConditionType, trigger as never, { kind: "good", evidence: "fine" }, at());
    },
    schedulable: () => held.answer({ probing: true, cordoned: false, guests: "false" }).schedulable,
    acknowledge: (type: ConditionType): void => held.acknowledge(type, at()),
    /** One look of a reader, or looks at its pace over some time. */
    say: <N extends ReaderName>(reader: N, reading: Reading<HostValue<N>>, everyMs = 0, forMs = 0): void => {
      const last = (() => reading) as HostReadings["last"];
      const readings = { ...fixedReadings({}), last };
      held.judge(reader, readings, at());
      for (let passed = 0; passed < forMs; passed += everyMs) {
        clock.advance(everyMs);
        held.judge(reader, readings, at());
      }
    },
    is: (type: ConditionType): string => {
      const found = held.conditions.find((condition) => condition.type === type);
      return `${found?.status ?? "?"} ${found?.effect ?? "?"} ${found?.reason ?? "?"}`;
    },
    why: (type: ConditionType) =>
      held.conditions.find((condition) => condition.type === type)?.evidence ?? "",
  };
}

const read = <T>(value: T): Reading<T> => ({ kind: "read", value });

test("a worn disk degrades the host, one that fails keeps new VMs away, and both are named", async (context) => {
  const host = await unpackHost(context, "worn-compute-node");
  const limits = { timeoutMs: 10_000, maxOutputBytes: 1024 ** 2, anyExitCode: true };
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

test("there are no disks, or nobody asks them: no fault, nothing is said to be well, and why", () => {
  const { say, is, why } = driven();
  say("disks", read([]));
  say("diskHealth", { kind: "unsupported", reason: "there is no disk that tells its health" });
  assert.equal(is("DiskFailing"), "unknown none NotPresent");
  say("diskHealth", { kind: "failed", reason: "smartctl is not installed", code: "ENOENT" });
  assert.equal(is("DiskFailing"), "unknown none NotWatched");
  assert.equal(why("DiskFailing"), "not watched: smartctl is not installed; install it to have this watched");
});

test("what the agent may not look at is not watched: unknown, with a way to allow it, and no hindrance", () => {
  const { say, is, why, schedulable, allGood } = driven();
  allGood();
  assert.equal(schedulable(), "true");
  const denied = (reason: string) => ({ kind: "failed", reason, code: "EPERM" }) as const;
  say("diskHealth", denied("the agent may not ask /dev/nvme0"));
  say("kernelLog", denied("EPERM: kmsg"));
  say("bmc", denied("the agent may not open /dev/ipmi0"));
  for (const type of [
    "DiskWear",
    "DiskFailing",
    "KernelFault",
    "MemoryUncorrected",
    "Thermal",
    "Psu",
  ] as const) {
    assert.equal(is(type), "unknown none NotWatched", type);
    assert.match(why(type), /^not watched: .*; socle-hardware\.socket has it read/);
  }
  assert.equal(schedulable(), "true");
  // One that could be looked at, and did not answer, is another matter.
  say("kernelLog", { kind: "failed", reason: "EIO" }, MINUTE, 3 * MINUTE);
  assert.equal(is("KernelFault"), "unknown degraded Unknown");
  assert.equal(schedulable(), "unknown");
});

test("nothing is said to be well where there is nothing to look at, and new VMs are taken all the same", () => {
  const { say, is, why, schedulable, allGood } = driven();
  allGood();
  const none = { kind: "unsupported", reason: "no such thing" } as const;
  for (const reader of [
    "sensors",
    "memoryErrors",
    "kernelLog",
    "pcie",
    "raid",
    "bonds",
    "certificate",
  ] as const)
    say(reader, none, MINUTE, 2 * MINUTE);
  assert.equal(is("Thermal"), "false none Healthy", "the BMC says so");
  assert.equal(why("Thermal"), "fine");
  say("bmc", none, MINUTE, 10 * MINUTE);
  for (const type of [
    "Thermal",
    "Fan",
    "Psu",
    "MemoryUncorrected",
    "MemoryCorrected",
    "PcieErrors",
    "KernelFault",
    "RaidDegraded",
    "BondDegraded",
    "CertificateExpiring",
  ] as const)
    assert.equal(`${is(type)}: ${why(type)}`, "unknown none NotPresent: not here: no such thing", type);
  assert.equal(schedulable(), "true");
  // Nor where there is somebody to ask, who tells of none.
  const heat = { chip: "acpitz", sensor: "temp1", celsius: 50 };
  const empty = { temperatures: [heat], fans: [], voltages: [], currents: [], powers: [], silent: [] };
  say("sensors", read({ ...empty, unread: { temperatures: [], fans: [] } }), MINUTE, 10 * MINUTE);
  say("bmc", read([]), MINUTE, 10 * MINUTE);
  say("raid", read([]), MINUTE, 10 * MINUTE);
  say("bonds", read([]), MINUTE, 10 * MINUTE);
  for (const [type, evidence] of [
    ["Thermal", "none of 1 sensors says what is too hot; none of 0 sensors says what is too hot"],
    ["Fan", "nothing tells of any"],
    ["Psu", "nothing tells of any"],
    ["RaidDegraded", "this host has none"],
    ["BondDegraded", "this host has none"],
  ] as const)
    assert.equal(`${is(type)}: ${why(type)}`, `unknown none NotPresent: ${evidence}`, type);
  assert.equal(schedulable(), "true");
});

test("what was there and is gone is not known, and mends nothing; what never was there is no fault", () => {
  const { say, is, why, schedulable, allGood } = driven();
  const none = { kind: "unsupported", reason: "no BMC: no /dev/ipmi0, none configured" } as const;
  allGood();
  say("bmc", none, MINUTE, 10 * MINUTE);
  assert.deepEqual([is("Psu"), schedulable()], ["unknown none NotPresent", "true"]);
  const supply = (name: string, said: string) =>
    ({ name, entity: "10.1", state: "ok", states: [said] }) as const;
  say("bmc", read([supply("PS1", "Presence detected"), supply("PS2", "Presence detected")]));
  say("bmc", none, MINUTE, 3 * MINUTE);
  assert.equal(is("Psu"), "unknown degraded Unknown");
  assert.equal(
    why("Psu"),
    "gone, and was here since the host booted: no BMC: no /dev/ipmi0, none configured",
  );
  assert.equal(schedulable(), "unknown");
  say("bmc", read([supply("PS1", "Presence detected"), supply("PS2", "Failure detected")]), MINUTE, MINUTE);
  assert.equal(is("Psu"), "true degraded PsuLost");
  say("bmc", none, MINUTE, 60 * MINUTE);
  assert.equal(is("Psu"), "true degraded PsuLost");
  const dimm = { dimm: "A1", correctedErrors: 0, uncorrectedErrors: 0 };
  say("memoryErrors", read([dimm]));
  say("memoryErrors", { kind: "unsupported", reason: "no memory controller (EDAC)" }, MINUTE, 3 * MINUTE);
  assert.equal(is("MemoryUncorrected"), "unknown degraded Unknown");
});

test("a /dev/kvm that was usable and is gone keeps new VMs away: they would be emulated", () => {
  const none = { kind: "unsupported", reason: "ENOENT" } as const;
  const { say, is } = driven();
  say("kvm", none);
  assert.equal(is("KvmUnavailable"), "false none Healthy");
  say("kvm", read({}));
  say("kvm", none);
  assert.equal(is("KvmUnavailable"), "true no_schedule DeviceCannotBeOpened");
});

test("what was seen to be wrong stays so when the agent may not look any more", () => {
  const { say, is } = driven();
  const fault = { kind: "oops", atMs: 0, text: "Oops", ageMs: 0 } as const;
  say("kernelLog", read({ counts: new Map(), faults: [fault] }));
  say("kernelLog", { kind: "failed", reason: "EPERM: kmsg", code: "EPERM" });
  assert.equal(is("KernelFault"), "true degraded KernelFault");
  say("kernelLog", read({ counts: new Map(), faults: [] }));
  assert.equal(is("KernelFault"), "false none Healthy");
});

test("a RAID that misses a disk, until it was in sync for 5 minutes; one that does not run", async (context) => {
  const { say, is, why } = driven();
  say("raid", await readRaid(await unpackHost(context, "worn-compute-node")));
  assert.equal(is("RaidDegraded"), "true degraded RaidMissesDisk");
  assert.equal(why("RaidDegraded"), "md0 (raid1) misses 1 of 2 disks");
  say("raid", await readRaid(await unpackHost(context, "qemu-storage-guest")));
  assert.match(why("RaidDegraded"), /misses 1 of 2 disks, and is taking one back/);
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
