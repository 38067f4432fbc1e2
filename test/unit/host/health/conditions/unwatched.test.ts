import assert from "node:assert/strict";
import test from "node:test";

import { driven, read } from "../../../../support/host/driven-health.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;

test("there are no disks, or nobody asks them: no fault, nothing is said to be well, and why", () => {
  const { say, is, why } = driven();
  say("disks", read([]));
  say("diskHealth", { kind: "unsupported", reason: "no disk reports its health" });
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
  say("diskHealth", denied("the agent may not query /dev/nvme0"));
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
    assert.match(why(type), /^not watched: .*; enable socle-hardware\.socket to have it read/);
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
    assert.equal(`${is(type)}: ${why(type)}`, "unknown none NotPresent: not present: no such thing", type);
  assert.equal(schedulable(), "true");
  // Nor where there is somebody to ask, who tells of none.
  const heat = { chip: "acpitz", sensor: "temp1", celsius: 50 };
  const empty = { temperatures: [heat], fans: [], voltages: [], currents: [], powers: [], silent: [] };
  say("sensors", read({ ...empty, unread: { temperatures: [], fans: [] } }), MINUTE, 10 * MINUTE);
  say("bmc", read([]), MINUTE, 10 * MINUTE);
  say("raid", read([]), MINUTE, 10 * MINUTE);
  say("bonds", read([]), MINUTE, 10 * MINUTE);
  for (const [type, evidence] of [
    ["Thermal", "none of 1 sensors has a critical point; none of 0 sensors has a critical point"],
    ["Fan", "no sensor reports any"],
    ["Psu", "no sensor reports any"],
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
  assert.equal(why("Psu"), "gone, but was present since boot: no BMC: no /dev/ipmi0, none configured");
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
