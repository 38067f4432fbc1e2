import assert from "node:assert/strict";
import test from "node:test";
import type { FilesystemSpace } from "../../../../../agent/hardware/storage/filesystem.ts";
import type { Reading } from "../../../../../agent/hardware/reading.ts";
import { lagVerdict } from "../../../../../agent/host/health/conditions/agent.ts";
import { spaceVerdicts } from "../../../../../agent/host/health/conditions/filesystem.ts";
import { kvmVerdict } from "../../../../../agent/host/health/conditions/hypervisor.ts";
import { memoryVerdict, stallVerdict } from "../../../../../agent/host/health/conditions/memory.ts";
import { SocleError } from "../../../../../agent/kernel/errors.ts";
import { machine } from "../../../../support/hardware/fixture.ts";
import { HostOfTree } from "../../../../support/host/host-of-tree.ts";

const GIB = 1024 ** 3;

function memory(totalGib: number, availableGib: number, hugetlbGib = 0) {
  return {
    totalBytes: totalGib * GIB,
    availableBytes: availableGib * GIB,
    hugetlbBytes: hugetlbGib * GIB,
    bytesByName: new Map<string, number>(),
  };
}

const failed = { kind: "failed", reason: "EIO" } as const;
const unsupported = { kind: "unsupported", reason: "ENOENT" } as const;

const server = await machine("two-sockets");

const limits = { minBytes: 2 * GIB, minRatio: 0.03, headroom: 1.5 };

test("memory is low below 2 GiB on a small machine, below 3% on a large one; half as much again ends it", () => {
  assert.equal(memoryVerdict(memory(16, 1.9), limits).kind, "bad");
  assert.equal(memoryVerdict(memory(16, 2.5), limits).kind, "between");
  assert.equal(memoryVerdict(memory(16, 3.1), limits).kind, "good");
  assert.equal(memoryVerdict(memory(512, 15), limits).kind, "bad");
});

test("a host with nearly all memory in huge pages is not short of memory", () => {
  assert.equal(memoryVerdict(memory(512, 6, 480), limits).kind, "good");
});

test("stalls over the limit are a fault; without the kernel's figures they are unknown", () => {
  const stall = (avg60Ratio: number) => ({ avg60Ratio, totalSeconds: 0 });
  const stalled = (avg60Ratio: number) => ({ waiting: stall(avg60Ratio), stalled: stall(avg60Ratio) });
  assert.equal(stallVerdict(stalled(0.11), 0.1, 1.5).kind, "bad");
  assert.equal(stallVerdict(stalled(0.08), 0.1, 1.5).kind, "between");
  assert.equal(stallVerdict(stalled(0.05), 0.1, 1.5).kind, "good");
  assert.equal(stallVerdict({ waiting: stall(0.5) }, 0.1, 1.5).kind, "unknown");
});

function space(availableRatio: number) {
  const value = { sizeBytes: 100, usedBytes: 0, availableBytes: 0, availableRatio };
  return { kind: "read", value } as const;
}

test("each filesystem is judged separately; one that does not answer is unknown, not healthy", () => {
  const filesystems: Readonly<Record<string, Reading<FilesystemSpace>>> = {
    "/state": space(0.5),
    "/pool": space(0.09),
    "/var": space(0.12),
    "/nfs": failed,
  };
  const verdicts = spaceVerdicts(new Map(Object.entries(filesystems)), 0.1, 1.5);
  assert.deepEqual(
    [...verdicts].map(([path, { kind }]) => `${path} ${kind}`),
    ["/state good", "/pool bad", "/var between", "/nfs unknown"],
  );
  assert.match(verdicts.get("/pool")?.evidence ?? "", /\/pool has 9\.0% free/);
});

test("a missing /dev/kvm matters if configured, one that cannot be opened always, except by permission", () => {
  const opens = { kind: "read", value: {} } as const;
  const broken = { kind: "failed", reason: "EBUSY: busy", code: "EBUSY" } as const;
  const denied = { kind: "failed", reason: "EACCES: denied", code: "EACCES" } as const;
  assert.equal(kvmVerdict(opens, "auto", undefined, false).kind, "good");
  assert.equal(kvmVerdict(unsupported, "auto", undefined, false).kind, "good");
  assert.equal(kvmVerdict(unsupported, "auto", undefined, true).kind, "bad");
  assert.equal(kvmVerdict(unsupported, "tcg", undefined, true).kind, "good");
  assert.equal(kvmVerdict(unsupported, "kvm", undefined, false).kind, "bad");
  assert.equal(kvmVerdict(broken, "auto", true, false).kind, "bad");
  assert.equal(kvmVerdict(broken, "tcg", undefined, false).kind, "good");
  assert.equal(kvmVerdict(denied, "auto", true, false).kind, "good");
  assert.equal(kvmVerdict(denied, "auto", undefined, false).kind, "unknown");
  assert.equal(kvmVerdict(denied, "auto", false, false).kind, "bad");
});

test("a journal that cannot be written forbids new VMs until it can be written again", async (t) => {
  const journal: { failure: SocleError | undefined; tries: number; tryAgain(): Promise<void> } = {
    failure: undefined,
    tries: 0,
    tryAgain: () => Promise.resolve(void (journal.tries += 1)),
  };
  const well = { failure: undefined, tryAgain: () => Promise.resolve() };
  const host = await new HostOfTree(server, {}, [well, journal]).start();
  t.after(() => host.stop());
  assert.equal(host.condition("StateUnwritable"), "false none Healthy: changes can be recorded");
  journal.failure = new SocleError("exhausted", "JOURNAL_FAILED", "/state/j cannot be written: free space");
  await host.readAgain("journals");
  assert.equal(
    host.condition("StateUnwritable"),
    "true no_schedule JournalFull: /state/j cannot be written: free space",
  );
  assert.equal(journal.tries, 2, "a full disk is tried each time");
  journal.failure = undefined;
  await host.readAgain("journals");
  assert.match(host.condition("StateUnwritable"), /^false none/);
  journal.failure = new SocleError("unavailable", "JOURNAL_FAILED", "/state/j cannot be written: EIO");
  await host.readAgain("journals");
  assert.equal(
    host.condition("StateUnwritable"),
    "true no_schedule JournalFailed: /state/j cannot be written: EIO",
  );
  journal.failure = new SocleError("unavailable", "STATE_LOST", "/state/j was deleted");
  await host.readAgain("journals");
  assert.equal(host.condition("StateUnwritable"), "true no_schedule StateLost: /state/j was deleted");
  journal.failure = new SocleError("unavailable", "LEASE_UNREADABLE", "qemu:///system does not say");
  await host.readAgain("journals");
  assert.match(host.condition("StateUnwritable"), /^false none/);
  assert.equal(
    host.condition("HypervisorInUse"),
    "true no_schedule LeaseRefused: qemu:///system does not say",
  );
});

test("a lagging event loop degrades the host", () => {
  assert.equal(lagVerdict(1001, 1000).kind, "bad");
  assert.equal(lagVerdict(20, 1000).kind, "good");
});
