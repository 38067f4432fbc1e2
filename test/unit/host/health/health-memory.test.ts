import assert from "node:assert/strict";
import test from "node:test";
import { watching } from "../../../../agent/host/health/conditions/condition.ts";
import { Health } from "../../../../agent/host/health/health.ts";
import { HealthMemory } from "../../../../agent/host/health/health-memory.ts";
import type { Verdict } from "../../../../agent/host/health/trigger.ts";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { silentLog } from "../../../../agent/kernel/log.ts";
import { FakeClock } from "../../../support/host/fake-clock.ts";
import { FakeRecord } from "../../../support/host/fake-record.ts";

const atOnce = { probes: 1, forMs: 0 };
const rules = {
  MemoryUncorrected: {
    dimm: {
      reason: "UncorrectedError",
      effect: "evacuate",
      enter: atOnce,
      leave: atOnce,
      latch: "reboot_and_acknowledge",
    },
  },
  PcieErrors: {
    fatal: {
      reason: "FatalPcieError",
      effect: "no_schedule",
      enter: atOnce,
      leave: atOnce,
      looksBackMs: 3_600_000,
    },
  },
  Psu: {
    lost: watching("bmc", { reason: "PsuLost", effect: "degraded", enter: atOnce, leave: atOnce }, () => {
      return { kind: "good", evidence: "2 of 2 work" };
    }),
  },
  BondDegraded: { bond: { reason: "SlaveDown", effect: "degraded", enter: atOnce, leave: atOnce } },
  DiskSpace: {
    space: watching(
      "filesystems",
      { reason: "AlmostFull", effect: "no_schedule", enter: atOnce, leave: { probes: 2, forMs: 300_000 } },
      () => ({ kind: "good", evidence: "enough" }),
    ),
  },
} as const;

/** An agent's health; its record is read by the next agent. */
function agent(record: FakeRecord, bootId: string) {
  const clock = new FakeClock();
  const at = () => ({ wallMs: clock.now(), monotonicMs: clock.monotonicMs() });
  const health: Health<typeof rules> = new Health({
    rules,
    flapping: { flips: 3, withinMs: 1_800_000 },
    at: at(),
    onChange: () => undefined,
    onLatch: () => memory.keep(),
  });
  const memory = new HealthMemory({ health, store: record, now: at, log: silentLog });
  memory.recall(bootId);
  const dimm = (kind: "good" | "bad"): void =>
    health.observe("MemoryUncorrected", "dimm", new Map([["A1", { kind, evidence: kind }]]), at());
  const bond = (kind: "good" | "bad"): void =>
    health.observe("BondDegraded", "bond", { kind, evidence: kind }, at());
  const pcie = (kind: "good" | "bad"): void =>
    health.observe("PcieErrors", "fatal", { kind, evidence: kind }, at());
  const space = (kind: Verdict["kind"]): void =>
    health.observe("DiskSpace", "space", new Map([["/srv", { kind, evidence: kind }]]), at());
  const bmc = (kind: "read" | "unsupported"): void => {
    const last = () => (kind === "read" ? { kind, value: [] } : { kind, reason: "no /dev/ipmi0" });
    for (let look = 0; look < 3; look += 1) health.judge("bmc", { last } as never, at());
  };
  const statusOf = (type: string): string => {
    const condition = health.conditions.find((found) => found.type === type);
    assert.ok(condition !== undefined);
    const { status, reason, latched, acknowledged } = condition;
    return [
      reason === "NotPresent" ? "not present" : status,
      ...(latched ? ["latched"] : []),
      ...(acknowledged ? ["acknowledged"] : []),
    ].join(" ");
  };
  return { memory, clock, health, dimm, bond, pcie, space, bmc, statusOf };
}

const refused = (reason: string) => (error: unknown) =>
  error instanceof SocleError && error.reason === reason;

test("an uncorrected memory error outlives the agent, and ends by a reboot and an acknowledgement, in either order", async () => {
  for (const order of [
    ["ack", "reboot"],
    ["reboot", "ack"],
  ]) {
    const record = new FakeRecord();
    const first = agent(record, "boot-1");
    first.dimm("good");
    first.dimm("bad");
    await first.memory.retry();
    let bootId = "boot-1";
    let now = agent(record, bootId);
    assert.equal(now.statusOf("MemoryUncorrected"), "true latched");
    const { evidence, subjects, effect } = now.health.conditions[0] ?? {};
    assert.deepEqual([evidence, subjects, effect], ["bad", ["A1"], "evacuate"]);
    for (const [index, step] of order.entries()) {
      await now.memory.retry();
      if (step === "ack") await now.memory.acknowledge("MemoryUncorrected", `ack-${index}`);
      else bootId = "boot-2";
      now = agent(record, bootId);
      now.dimm("good");
      if (index === 0) assert.match(now.statusOf("MemoryUncorrected"), /^true latched/, order.join());
    }
    assert.equal(now.statusOf("MemoryUncorrected"), "false", order.join());
  }
});

test("an acknowledged condition that recurs after the reboot is latched again", async () => {
  const record = new FakeRecord();
  const first = agent(record, "boot-1");
  first.dimm("bad");
  await first.memory.acknowledge("MemoryUncorrected", "r1");
  assert.equal(first.statusOf("MemoryUncorrected"), "true latched acknowledged");
  const second = agent(record, "boot-2");
  second.dimm("good");
  assert.equal(second.statusOf("MemoryUncorrected"), "false");
  second.dimm("bad");
  assert.equal(second.statusOf("MemoryUncorrected"), "true latched");
});

test("a condition that flapped stays latched over a restart until acknowledged, then ends by its own rule", async () => {
  const record = new FakeRecord();
  const first = agent(record, "boot-1");
  for (const kind of ["good", "bad", "good", "bad", "good"] as const) first.bond(kind);
  await first.memory.retry();
  const second = agent(record, "boot-1");
  second.bond("good");
  assert.equal(second.statusOf("BondDegraded"), "true latched");
  await second.memory.acknowledge("BondDegraded", "r1");
  second.bond("good");
  assert.equal(second.statusOf("BondDegraded"), "false");
  assert.deepEqual(record.health.latches, []);
});

test("a condition judged by the last hour stays true for an hour of the next agent of the same boot", async () => {
  const record = new FakeRecord();
  const first = agent(record, "boot-1");
  first.pcie("bad");
  first.bond("bad");
  const since = first.health.conditions.find(({ type }) => type === "PcieErrors")?.sinceMs;
  await first.memory.retry();
  const second = agent(record, "boot-1");
  assert.equal(second.statusOf("BondDegraded"), "unknown");
  assert.equal(agent(record, "boot-2").statusOf("PcieErrors"), "unknown");
  second.clock.setWall(7_200_000);
  second.clock.advance(3_599_999);
  second.pcie("good");
  assert.equal(second.statusOf("PcieErrors"), "true");
  const { evidence, effect, sinceMs } =
    second.health.conditions.find(({ type }) => type === "PcieErrors") ?? {};
  assert.deepEqual([evidence, effect, sinceMs], ["bad", "no_schedule", since]);
  second.clock.advance(1);
  second.pcie("good");
  assert.equal(second.statusOf("PcieErrors"), "false");
  await second.memory.retry();
  assert.equal(agent(record, "boot-1").statusOf("PcieErrors"), "unknown");
});

test("between its thresholds a condition keeps its state, also over a restart of the agent", async () => {
  const record = new FakeRecord();
  const first = agent(record, "boot-1");
  first.space("bad");
  await first.memory.retry();
  const second = agent(record, "boot-1");
  second.space("between");
  assert.equal(second.statusOf("DiskSpace"), "true");
  second.space("good");
  second.clock.advance(299_999);
  second.space("good");
  assert.equal(second.statusOf("DiskSpace"), "true");
  second.clock.advance(1);
  second.space("good");
  assert.equal(second.statusOf("DiskSpace"), "false");
  await second.memory.retry();
  const third = agent(record, "boot-1");
  third.space("between");
  assert.equal(third.statusOf("DiskSpace"), "false");
});

test("a condition whose reader is disabled in the configuration is not latched by the next agent", async () => {
  const record = new FakeRecord();
  const first = agent(record, "boot-1");
  first.space("bad");
  first.space("unwatched");
  assert.equal(first.statusOf("DiskSpace"), "true", "a missing read ends nothing");
  await first.memory.retry();
  const second = agent(record, "boot-1");
  second.space("unwatched");
  assert.equal(second.statusOf("DiskSpace"), "unknown");
});

test("while latches are restored, no write leaves out half of them", async () => {
  const record = new FakeRecord();
  const first = agent(record, "boot-1");
  first.dimm("bad");
  for (const kind of ["good", "bad", "good", "bad"] as const) first.bond(kind);
  await first.memory.retry();
  const written: number[] = [];
  const setHealth = record.setHealth.bind(record);
  record.setHealth = async (health) => {
    written.push(health.latches.length);
    await setHealth(health);
  };
  const second = agent(record, "boot-1");
  await second.memory.retry();
  await second.memory.acknowledge("BondDegraded", "r1");
  assert.equal(second.statusOf("MemoryUncorrected"), "true latched");
  assert.deepEqual(written, [2, 1]);
});

test("a part that an earlier agent of the same boot saw counts as missing when it is gone", async () => {
  const record = new FakeRecord();
  const first = agent(record, "boot-1");
  first.bmc("read");
  await first.memory.retry();
  const second = agent(record, "boot-1");
  second.bmc("unsupported");
  assert.equal(second.statusOf("Psu"), "unknown");
  const afterReboot = agent(record, "boot-2");
  afterReboot.bmc("unsupported");
  assert.equal(afterReboot.statusOf("Psu"), "not present");
});

test("a repeated request, also to the next agent, does not acknowledge a later occurrence", async () => {
  const record = new FakeRecord();
  const first = agent(record, "boot-1");
  for (const kind of ["good", "bad", "good", "bad"] as const) first.bond(kind);
  await first.memory.acknowledge("BondDegraded", "r1");
  for (const kind of ["good", "bad", "good", "bad"] as const) first.bond(kind);
  assert.equal(first.statusOf("BondDegraded"), "true latched");
  await first.memory.retry();
  const second = agent(record, "boot-1");
  for (const days of [0, 2, -2]) {
    second.clock.setWall(days * 86_400_000);
    await second.memory.acknowledge("BondDegraded", "r1");
    assert.equal(second.statusOf("BondDegraded"), "true latched", `the wall clock is ${days} days off`);
  }
  await assert.rejects(second.memory.acknowledge("MemoryUncorrected", "r1"), refused("REQUEST_ID_REUSED"));
});

test("acknowledging a condition that is not latched, unknown or not durable is refused with its reason", async () => {
  const record = new FakeRecord();
  const { memory, dimm, statusOf } = agent(record, "boot-1");
  await assert.rejects(memory.acknowledge("Nonsense", "r1"), refused("CONDITION_UNKNOWN"));
  await assert.rejects(memory.acknowledge("BondDegraded", "r1"), refused("CONDITION_NOT_LATCHED"));
  await assert.rejects(memory.acknowledge("BondDegraded", ""), refused("REQUEST_ID_INVALID"));
  dimm("bad");
  await memory.retry();
  record.failure = new SocleError("unavailable", "STATE_UNWRITABLE", "disk full");
  await assert.rejects(memory.acknowledge("MemoryUncorrected", "r2"), refused("STATE_UNWRITABLE"));
  const kept = (): boolean[] => record.health.latches.map(({ acknowledged }) => acknowledged);
  assert.deepEqual(kept(), [false]);
  record.failure = undefined;
  await memory.acknowledge("MemoryUncorrected", "r2");
  assert.deepEqual(kept(), [true]);
  assert.equal(statusOf("MemoryUncorrected"), "true latched acknowledged");
});

test("the read position of each log outlives the agent", async () => {
  const record = new FakeRecord();
  const first = agent(record, "boot-1");
  const kernel = { bootId: "boot-1", record: 7, counts: { oops: 1 } };
  first.memory.keepSeen({ kernel });
  first.memory.keepSeen({ bmc: { entries: ["a"], counts: { critical: 2 } } });
  await first.memory.retry();
  const second = agent(record, "boot-1");
  second.memory.keepSeen({ kernel: { ...kernel, record: 9 } });
  await second.memory.retry();
  assert.deepEqual(agent(record, "boot-2").memory.seenLogs, {
    kernel: { ...kernel, record: 9 },
    bmc: { entries: ["a"], counts: { critical: 2 } },
  });
});

test("a machine with more parts than are remembered does not write the record at each read", () => {
  const { health } = agent(new FakeRecord(), "boot-1");
  const look = (): unknown => {
    for (let fan = 0; fan < 1001; fan += 1) health.seen.add("bmcFan", `fan ${fan}`);
    return health.seen.all;
  };
  assert.equal(look(), look());
});
