import assert from "node:assert/strict";
import test from "node:test";
import { configSchema } from "../../../../agent/config/schema.ts";
import { hostConditions, type ConditionType } from "../../../../agent/host/health/conditions/table.ts";
import { Health } from "../../../../agent/host/health/health.ts";
import type { Condition, Truth } from "../../../../agent/host/host.ts";
import type { TriggerRule, Verdict } from "../../../../agent/host/health/trigger.ts";
import { FakeClock } from "../../../support/host/fake-clock.ts";

function setUp() {
  const clock = new FakeClock();
  const at = () => ({ wallMs: clock.now(), monotonicMs: clock.monotonicMs() });
  const changes: Condition[] = [];
  const first: string[] = [];
  const config = configSchema.parse({});
  const table = hostConditions({ config, offersKvm: () => undefined });
  const health = new Health({
    rules: table,
    flapping: { flips: config.health.flips, withinMs: config.health.flapSeconds * 1000 },
    at: at(),
    onChange: (condition, isFirst) => {
      changes.push(condition);
      if (isFirst) first.push(condition.type);
    },
  });
  const good = { kind: "good", evidence: "fine" } as const;
  const bad = { kind: "bad", evidence: "broken" } as const;
  const allGood = (): void => {
    for (const [type, triggers] of Object.entries<Readonly<Record<string, TriggerRule>>>(table)) {
      for (const [trigger, { offUntilReported }] of Object.entries(triggers)) {
        // The table's own names, which the compiler cannot infer through a loop.
        if (offUntilReported !== true) health.observe(type as ConditionType, trigger as never, good, at());
      }
    }
  };
  const answer = (facts: { probing?: boolean; cordoned?: boolean; guests?: Truth } = {}) =>
    health.answer({ probing: true, cordoned: false, guests: "false", ...facts });
  const condition = (type: string) => {
    const found = answer().conditions.find((candidate) => candidate.type === type);
    assert.ok(found !== undefined);
    return found;
  };
  return { clock, at, health, changes, first, good, bad, allGood, answer, condition };
}

test("before any probe nothing is healthy and nothing is bad", () => {
  const { answer, condition } = setUp();
  assert.deepEqual([answer().state, answer().schedulable], ["degraded", "unknown"]);
  assert.equal(condition("LibvirtUnresponsive").status, "unknown");
});

test("with all probes good the host is schedulable", () => {
  const { allGood, answer } = setUp();
  allGood();
  assert.deepEqual([answer().state, answer().alive, answer().schedulable], ["none", "true", "true"]);
});

test("a libvirt silent for three probes forbids scheduling, and the host stays alive", () => {
  const { clock, at, health, bad, allGood, answer, condition, changes } = setUp();
  allGood();
  for (let probe = 0; probe < 3; probe += 1) {
    clock.advance(10_000);
    health.observe("LibvirtUnresponsive", "probe", bad, at());
  }
  assert.deepEqual([answer().state, answer().alive, answer().schedulable], ["no_schedule", "true", "false"]);
  const { reason, evidence, sinceMs } = condition("LibvirtUnresponsive");
  assert.deepEqual([reason, evidence, sinceMs], ["ProbeFailed", "broken", clock.now()]);
  assert.equal(changes.at(-1)?.status, "true");
});

test("a condition's first known state is published apart from its changes", () => {
  const { clock, at, health, changes, first, good, bad, allGood } = setUp();
  allGood();
  assert.deepEqual(
    first,
    changes.map(({ type }) => type),
  );
  const known = first.length;
  for (const verdict of [bad, bad, bad, good, good, good]) {
    clock.advance(60_000);
    health.observe("LibvirtUnresponsive", "probe", verdict, at());
  }
  assert.deepEqual(
    changes.slice(known).map(({ type, status }) => [type, status]),
    [
      ["LibvirtUnresponsive", "true"],
      ["LibvirtUnresponsive", "false"],
    ],
  );
  assert.equal(first.length, known);
});

test("a trigger with nothing to watch is not listed beside another trigger's finding", () => {
  const { at, health, condition, good } = setUp();
  health.observe("FilesystemReadOnly", "any", new Map([["/", good]]), at());
  health.observe("FilesystemReadOnly", "vms", new Map(), at());
  assert.equal(condition("FilesystemReadOnly").evidence, "fine");
  health.observe("FilesystemReadOnly", "any", new Map(), at());
  assert.equal(condition("FilesystemReadOnly").evidence, "this host has none");
});

test("a change is published once, not with every equal probe", () => {
  const { clock, allGood, changes } = setUp();
  allGood();
  const before = changes.length;
  clock.advance(10_000);
  allGood();
  assert.equal(changes.length, before);
});

test("a /dev/kvm that opens while its guests die is unavailable until two guests ran", () => {
  const { at, health, bad, good, allGood, condition } = setUp();
  allGood();
  health.observe("KvmUnavailable", "guest", { ...bad, evidence: "vm-1 paused (internal error)" }, at());
  allGood();
  assert.deepEqual(
    [condition("KvmUnavailable").status, condition("KvmUnavailable").reason],
    ["true", "GuestFailedOnKvm"],
  );
  assert.equal(condition("KvmUnavailable").evidence, "vm-1 paused (internal error)");
  health.observe("KvmUnavailable", "guest", good, at());
  assert.match(condition("KvmUnavailable").evidence, /^fine, well since .*; before: vm-1 paused/);
  assert.equal(condition("KvmUnavailable").status, "true");
  health.observe("KvmUnavailable", "guest", good, at());
  assert.equal(condition("KvmUnavailable").status, "false");
});

test("the conditions that forbid scheduling are listed, the strictest first", () => {
  const { at, health, bad, allGood, answer } = setUp();
  allGood();
  assert.deepEqual(answer().blockingConditions, []);
  const silent = { kind: "unknown", evidence: "no source" } as const;
  for (let look = 0; look < 3; look += 1) {
    health.observe("ClockUnsynced", "unsynced", silent, at());
    health.observe("ClockUnsynced", "offset", silent, at());
    health.observe("CertificateExpiring", "soon", silent, at());
  }
  assert.deepEqual([answer().schedulable, answer().blockingConditions], ["unknown", ["ClockUnsynced"]]);
  health.observe("DiskSpace", "space", bad, at());
  assert.deepEqual(
    [answer().schedulable, answer().blockingConditions],
    ["false", ["DiskSpace", "ClockUnsynced"]],
  );
});

test("a person ends a KVM failure found by guests, though it is not latched", () => {
  const { at, health, bad, allGood, condition } = setUp();
  allGood();
  for (const trigger of ["guest", "start"] as const) health.observe("KvmUnavailable", trigger, bad, at());
  health.acknowledge("KvmUnavailable", at());
  assert.deepEqual(
    [condition("KvmUnavailable").status, condition("KvmUnavailable").effect],
    ["false", "none"],
  );
  assert.throws(() => health.acknowledge("KvmUnavailable", at()), /not held/);
});

test("the worse of two memory triggers decides the effect", () => {
  const { at, health, bad, allGood, condition } = setUp();
  allGood();
  health.observe("MemoryPressure", "stalled", bad, at());
  assert.equal(condition("MemoryPressure").effect, "degraded");
  health.observe("MemoryPressure", "stalledBadly", bad, at());
  assert.equal(condition("MemoryPressure").effect, "no_schedule");
  assert.equal(condition("MemoryPressure").reason, "MemoryStallsSevere");
});

test("a cordon forbids scheduling and is no condition", () => {
  const { allGood, answer } = setUp();
  allGood();
  assert.deepEqual(
    [answer({ cordoned: true }).schedulable, answer({ cordoned: true }).state],
    ["false", "none"],
  );
});

test("it is safe to fence only when it is known that no guest runs", () => {
  const { clock, at, health, bad, allGood, answer } = setUp();
  assert.equal(answer({ guests: "false" }).safeToFence, "unknown");
  allGood();
  assert.equal(answer({ guests: "false" }).safeToFence, "true");
  assert.equal(answer({ guests: "true" }).safeToFence, "false");
  assert.equal(answer({ guests: "unknown" }).safeToFence, "unknown");
  for (let probe = 0; probe < 3; probe += 1) {
    clock.advance(10_000);
    health.observe("LibvirtUnresponsive", "probe", bad, at());
  }
  assert.equal(answer({ guests: "false" }).safeToFence, "unknown");
  assert.equal(answer({ guests: "true" }).safeToFence, "false");
});

test("an agent whose own probes have stopped does not report the host as alive", () => {
  assert.equal(setUp().answer({ probing: false }).alive, "unknown");
});

const verdicts = (kinds: Readonly<Record<string, Verdict["kind"]>>): ReadonlyMap<string, Verdict> =>
  new Map(Object.entries(kinds).map(([name, kind]) => [name, { kind, evidence: `${name} is ${kind}` }]));

test("each subject is counted separately: a broken pool is named, and two pools form no streak together", () => {
  const { clock, at, health, allGood, condition } = setUp();
  allGood();
  const look = (kinds: Parameters<typeof verdicts>[0]): string => {
    clock.advance(60_000);
    health.observe("StoragePool", "pool", verdicts(kinds), at());
    const { status, subjects } = condition("StoragePool");
    return `${status} ${subjects.join(",")}`;
  };
  assert.equal(look({ a: "bad", b: "good" }), "unknown ");
  assert.equal(look({ a: "good", b: "bad" }), "false ");
  assert.equal(look({ a: "bad", b: "bad" }), "false ");
  assert.equal(look({ a: "bad", b: "bad" }), "true b");
  assert.equal(condition("StoragePool").evidence, "b is bad");
  assert.equal(look({ a: "bad", b: "bad" }), "true a,b");
  assert.equal(look({ a: "bad" }), "true a", "a removed subject is not bad any more");
  assert.equal(look({}), "unknown ");
  assert.equal(condition("StoragePool").reason, "NotPresent");
});

test("subjects that cannot be listed are unknown, not gone", () => {
  const { at, health, allGood, condition } = setUp();
  allGood();
  health.observe("StoragePool", "pool", verdicts({ a: "good" }), at());
  for (let look = 0; look < 3; look += 1)
    health.observe("StoragePool", "pool", { kind: "unknown", evidence: "libvirt is away" }, at());
  assert.deepEqual(
    [condition("StoragePool").status, condition("StoragePool").effect, condition("StoragePool").evidence],
    ["unknown", "degraded", "libvirt is away"],
  );
});

test("degraded allows new VMs, no_schedule and worse forbid them, and the worst effect is the host's state", () => {
  const effects = ["degraded", "no_schedule", "evacuate", "fence_requested"] as const;
  const clock = new FakeClock();
  const at = { wallMs: clock.now(), monotonicMs: clock.monotonicMs() };
  const atOnce = { probes: 1, forMs: 0 };
  const before = effects.map((effect) => {
    const rule = { reason: "Test", effect, enter: atOnce, leave: atOnce };
    const health = new Health({
      rules: { A: { a: rule }, B: { b: { ...rule, effect: "degraded" } } },
      flapping: { flips: 3, withinMs: 1_800_000 },
      at,
      onChange: () => undefined,
    });
    for (const [type, trigger] of [["A", "a"] as const, ["B", "b"] as const])
      health.observe(type, trigger as never, { kind: "bad", evidence: "x" }, at);
    const { state, schedulable } = health.answer({ probing: true, cordoned: false, guests: "false" });
    return `${state} ${schedulable}`;
  });
  assert.deepEqual(before, ["degraded true", "no_schedule false", "evacuate false", "fence_requested false"]);
});
