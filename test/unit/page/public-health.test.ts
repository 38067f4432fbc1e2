import assert from "node:assert/strict";
import test from "node:test";
import { publicEvidence, publicHealth } from "../../../agent/page/public-health.ts";
import { showEvent } from "../../../agent/page/shown.ts";
import { well } from "../../support/page-stage.ts";

const libvirtWords =
  "VM 6f1c: internal error: qemu unexpectedly closed the monitor: -blockdev /var/lib/secret/tenant-a.qcow2: Permission denied";

test("the page shows the reason of a condition, never text of libvirt, QEMU, the kernel or a person", () => {
  for (const type of [
    "VmStartFailures",
    "KvmUnavailable",
    "LibvirtUnresponsive",
    "StoragePool",
    "BreakGlass",
  ]) {
    const [shown] = publicHealth(healthOf({ ...well(type), evidence: libvirtWords })).conditions;
    assert.equal(shown?.evidence, "", type);
    assert.equal(shown.reason, well(type).reason);
  }
  assert.equal(
    publicEvidence("ConditionOfTheFuture", libvirtWords),
    "",
    "fields outside the list are left out",
  );
});

test("measurements are shown without their paths, and subjects that are paths are counted", () => {
  const evidence = "/var/lib/tenant-a has 3.0% free, at least 10.0% wanted; 12 MiB/s";
  const full = {
    ...well("DiskSpace"),
    evidence,
    subjects: ["/srv/tenant-a", "/var/lib/tenant-a", "mc0/dimm1"],
  };
  const [shown] = publicHealth(healthOf(full)).conditions;
  assert.equal(shown?.evidence, "… has 3.0% free, at least 10.0% wanted; 12 MiB/s");
  assert.deepEqual([shown.subjects, shown.subjectCount], [["mc0/dimm1"], 3]);
});

test("an event about a condition shows no more than the condition", () => {
  const event = (condition: string, evidence: string) =>
    showEvent(
      {
        sequence: 1,
        agentEpoch: 1,
        timeMs: 1,
        kind: "condition_changed",
        reason: "StartFailed",
        details: { condition, status: "true", evidence },
      },
      () => "",
    ).details;
  assert.deepEqual(event("VmStartFailures", libvirtWords), { condition: "VmStartFailures", status: "true" });
  assert.equal(event("Thermal", "Package has 99 °C")["evidence"], "Package has 99 °C");
});

const healthOf = (condition: ReturnType<typeof well>) =>
  ({
    state: "none",
    conditions: [condition],
    alive: "true",
    schedulable: "true",
    blockingConditions: [],
    safeToFence: "unknown",
  }) as const;
