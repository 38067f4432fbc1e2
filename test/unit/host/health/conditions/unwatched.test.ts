import assert from "node:assert/strict";
import test from "node:test";

import { driven, read } from "../../../../support/host/driven-health.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;

test("absent and unqueried disks are no fault and not healthy, each with its reason", () => {
  const { report, is, why } = driven();
  report("disks", read([]));
  report("diskHealth", { kind: "unsupported", reason: "no disk reports its health" });
  assert.equal(is("DiskFailing"), "unknown none NotPresent");
  report("diskHealth", { kind: "failed", reason: "smartctl is not installed", code: "ENOENT" });
  assert.equal(is("DiskFailing"), "unknown none NotWatched");
  assert.equal(why("DiskFailing"), "not watched: smartctl is not installed; install it to have this watched");
});

test("a part that the agent may not read is unwatched: unknown, with a remedy, and forbids no VMs", () => {
  const { report, is, why, schedulable, allGood } = driven();
  allGood();
  assert.equal(schedulable(), "true");
  const denied = (reason: string) => ({ kind: "failed", reason, code: "EPERM" }) as const;
  report("diskHealth", denied("the agent may not query /dev/nvme0"));
  report("kernelLog", denied("EPERM: kmsg"));
  report("bmc", denied("the agent may not open /dev/ipmi0"));
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
  // A part that could be read and did not answer differs from that.
  report("kernelLog", { kind: "failed", reason: "EIO" }, MINUTE, 3 * MINUTE);
  assert.equal(is("KernelFault"), "unknown degraded Unknown");
  assert.equal(schedulable(), "unknown");
});

test("without hardware to read nothing is reported healthy, and new VMs are accepted", () => {
  const { report, is, why, schedulable, allGood } = driven();
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
    report(reader, none, MINUTE, 2 * MINUTE);
  assert.equal(is("Thermal"), "false none Healthy", "the BMC reports it");
  assert.equal(why("Thermal"), "fine");
  report("bmc", none, MINUTE, 10 * MINUTE);
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
  // Nor with a source that lists none.
  const heat = { chip: "acpitz", sensor: "temp1", celsius: 50 };
  const empty = { temperatures: [heat], fans: [], voltages: [], currents: [], powers: [], silent: [] };
  report("sensors", read({ ...empty, unread: { temperatures: [], fans: [] } }), MINUTE, 10 * MINUTE);
  report("bmc", read([]), MINUTE, 10 * MINUTE);
  report("raid", read([]), MINUTE, 10 * MINUTE);
  report("bonds", read([]), MINUTE, 10 * MINUTE);
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

test("a part that disappeared is unknown and ends nothing; a part that never existed is no fault", () => {
  const { report, is, why, schedulable, allGood } = driven();
  const none = { kind: "unsupported", reason: "no BMC: no /dev/ipmi0, none configured" } as const;
  allGood();
  report("bmc", none, MINUTE, 10 * MINUTE);
  assert.deepEqual([is("Psu"), schedulable()], ["unknown none NotPresent", "true"]);
  const supply = (name: string, reported: string) =>
    ({ name, entity: "10.1", state: "ok", states: [reported] }) as const;
  report("bmc", read([supply("PS1", "Presence detected"), supply("PS2", "Presence detected")]));
  report("bmc", none, MINUTE, 3 * MINUTE);
  assert.equal(is("Psu"), "unknown degraded Unknown");
  assert.equal(why("Psu"), "gone, but was present since boot: no BMC: no /dev/ipmi0, none configured");
  assert.equal(schedulable(), "unknown");
  report(
    "bmc",
    read([supply("PS1", "Presence detected"), supply("PS2", "Failure detected")]),
    MINUTE,
    MINUTE,
  );
  assert.equal(is("Psu"), "true degraded PsuLost");
  report("bmc", none, MINUTE, 60 * MINUTE);
  assert.equal(is("Psu"), "true degraded PsuLost");
  const dimm = { dimm: "A1", correctedErrors: 0, uncorrectedErrors: 0 };
  report("memoryErrors", read([dimm]));
  report("memoryErrors", { kind: "unsupported", reason: "no memory controller (EDAC)" }, MINUTE, 3 * MINUTE);
  assert.equal(is("MemoryUncorrected"), "unknown degraded Unknown");
});

test("a /dev/kvm that was usable and is gone forbids new VMs: they would be emulated", () => {
  const none = { kind: "unsupported", reason: "ENOENT" } as const;
  const { report, is } = driven();
  report("kvm", none);
  assert.equal(is("KvmUnavailable"), "false none Healthy");
  report("kvm", read({}));
  report("kvm", none);
  assert.equal(is("KvmUnavailable"), "true no_schedule DeviceCannotBeOpened");
});

test("a fault stays when the agent may not read the part any more", () => {
  const { report, is } = driven();
  const fault = { kind: "oops", atMs: 0, text: "Oops", ageMs: 0 } as const;
  report("kernelLog", read({ counts: new Map(), faults: [fault] }));
  report("kernelLog", { kind: "failed", reason: "EPERM: kmsg", code: "EPERM" });
  assert.equal(is("KernelFault"), "true degraded KernelFault");
  report("kernelLog", read({ counts: new Map(), faults: [] }));
  assert.equal(is("KernelFault"), "false none Healthy");
});
