import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { silentLog } from "../../../../agent/kernel/log.ts";
import { BackupLeases } from "../../../../agent/vm/operations/backup-leases.ts";
import { FakeClock } from "../../../support/host/fake-clock.ts";

const VM = "6f1c2f1e-0000-4000-8000-000000000001";
const backup = { id: "0123456789abcdef", leaseMs: 600_000 };
const DAY_MS = 86_400_000;

/** Leases over a domain that holds the written deadline; `refusal`: why this agent may change nothing. */
function stage() {
  const clock = new FakeClock();
  const state = {
    writtenMs: undefined as number | undefined,
    writes: 0,
    failure: undefined as SocleError | undefined,
    refusal: undefined as SocleError | undefined,
  };
  const backups = {
    leaseUntil: () =>
      state.failure === undefined ? Promise.resolve(state.writtenMs) : Promise.reject(state.failure),
    setLease: (_id: string, untilMs: number | undefined) => {
      if (state.failure !== undefined) return Promise.reject(state.failure);
      state.writes += 1;
      state.writtenMs = untilMs;
      return Promise.resolve();
    },
  };
  const agent = () => new BackupLeases({ backups, refusal: () => state.refusal, clock, log: silentLog });
  return { clock, state, agent };
}

test("a lease expires after its time, and each read renews it", async () => {
  const { clock, agent } = stage();
  const leases = agent();
  assert.equal(leases.isOver(VM, backup.id), false, "not followed yet");
  await leases.follow(VM, backup);
  clock.advance(599_999);
  assert.equal(leases.isOver(VM, backup.id), false);
  leases.touch(VM, backup.id);
  clock.advance(599_999);
  assert.equal(leases.isOver(VM, backup.id), false);
  // A later look of the watch renews nothing.
  await leases.follow(VM, backup);
  clock.advance(1);
  assert.equal(leases.isOver(VM, backup.id), true);
  assert.equal(leases.isOver(VM, "fedcba9876543210"), false, "another backup has a lease of its own");
});

test("a longer renewal is durable before its answer, and a read shortens none", async () => {
  const { clock, state, agent } = stage();
  const leases = agent();
  await leases.follow(VM, backup);
  await leases.renew(VM, backup.id, DAY_MS);
  assert.equal(state.writtenMs, clock.now() + DAY_MS);
  leases.touch(VM, backup.id);
  assert.equal(leases.untilMs(VM, backup.id), clock.now() + DAY_MS);
  await leases.renew(VM, backup.id, 60_000);
  assert.equal(leases.untilMs(VM, backup.id), clock.now() + DAY_MS, "a shorter one shortens it neither");
  assert.equal(state.writtenMs, clock.now() + DAY_MS);
  state.failure = new SocleError("unavailable", "LIBVIRT_DISCONNECTED", "away");
  await assert.rejects(leases.renew(VM, backup.id, 60_000), { reason: "LIBVIRT_DISCONNECTED" });
  assert.equal(leases.untilMs(VM, backup.id), clock.now() + DAY_MS, "as before");
});

test("reads write the deadline once a minute, for the next agent", async () => {
  const { clock, state, agent } = stage();
  const leases = agent();
  await leases.follow(VM, backup);
  for (let second = 0; second < 180; second += 1) {
    clock.advance(1000);
    leases.touch(VM, backup.id);
  }
  assert.equal(state.writes, 3);
  const next = agent();
  clock.advance(30_000);
  await next.follow(VM, backup);
  assert.equal(next.untilMs(VM, backup.id), clock.now() + 600_000, "at least a whole lease");
});

test("the next agent keeps a long renewal, at most for a day, and gives a reader that was away a whole lease", async () => {
  const { clock, state, agent } = stage();
  for (const [writtenMs, leftMs] of [
    [clock.now() + 7_200_000, 7_200_000],
    // The wall clock was ahead.
    [clock.now() + 30 * DAY_MS, DAY_MS],
    [clock.now() - DAY_MS, 600_000],
    [undefined, 600_000],
  ] as const) {
    state.writtenMs = writtenMs;
    const leases = agent();
    await leases.follow(VM, backup);
    assert.equal(leases.untilMs(VM, backup.id), clock.now() + leftMs);
  }
  state.failure = new SocleError("timeout", "LIBVIRT_TIMEOUT", "no answer");
  const leases = agent();
  await leases.follow(VM, backup);
  assert.equal(leases.untilMs(VM, backup.id), clock.now() + 600_000);
});

test("an agent that may change nothing writes no lease: a renewal is refused, and reads go on", async () => {
  const { clock, state, agent } = stage();
  const leases = agent();
  await leases.follow(VM, backup);
  state.refusal = new SocleError("unavailable", "HYPERVISOR_LEASE_LOST", "another agent has it");
  await assert.rejects(leases.renew(VM, backup.id, DAY_MS), { reason: "HYPERVISOR_LEASE_LOST" });
  clock.advance(120_000);
  leases.touch(VM, backup.id);
  assert.equal(state.writes, 0);
  assert.equal(leases.untilMs(VM, backup.id), clock.now() + 600_000);
  state.refusal = undefined;
  leases.touch(VM, backup.id);
  assert.equal(state.writes, 1);
});
