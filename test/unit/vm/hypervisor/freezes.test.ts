import assert from "node:assert/strict";
import test from "node:test";
import { SocleError, toSocleError } from "../../../../agent/kernel/errors.ts";
import type { Procedure } from "../../../../agent/libvirt/index.ts";
import { Freezes } from "../../../../agent/vm/hypervisor/freezes.ts";
import type { GuestAgents } from "../../../../agent/vm/hypervisor/guest-agents.ts";
import { FakeClock } from "../../../support/host/fake-clock.ts";

const guest = { id: "6f1c2f1e-0000-4000-8000-000000000001", tenant: "red" };
const silent = () => new SocleError("outcome_unknown", "GUEST_OUTCOME_UNKNOWN", "no answer");

/** One running guest. `fail` is asked before each of its agent's answers. */
function stage() {
  const clock = new FakeClock();
  const did: string[] = [];
  const state = {
    mark: undefined as string | undefined,
    fail: (_what: string): SocleError | undefined => undefined,
  };
  const call = <A, R>({ name }: Procedure<A, R>, args: A): Promise<R> => {
    const { metadata } = args as { metadata?: string | null };
    if (name === "DOMAIN_SET_METADATA") {
      state.mark = metadata ?? undefined;
      did.push(state.mark === undefined ? "unmark" : "mark");
      return Promise.resolve({} as R);
    }
    if (name !== "DOMAIN_GET_METADATA") throw new Error(name);
    if (state.mark !== undefined) return Promise.resolve({ metadata: state.mark } as R);
    return Promise.reject(new SocleError("not_found", "LIBVIRT_NO_DOMAIN_METADATA", "none"));
  };
  const agents = {
    exchange: (_guest: unknown, talk: (agent: object) => Promise<unknown>) =>
      talk({
        dom: {},
        call: ({ name }: { name: string }) => {
          const what = name === "DOMAIN_FSFREEZE" ? "freeze" : "thaw";
          did.push(what);
          const error = state.fail(what);
          return error === undefined ? Promise.resolve({ filesystems: 2 }) : Promise.reject(error);
        },
      }),
  } as unknown as GuestAgents;
  const calls = { call, openStream: () => Promise.reject(new Error("none")) };
  const freezes = new Freezes(calls, clock, agents);
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    for (let turn = 0; turn < 20; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve));
  };
  return { clock, did, state, freezes, pass };
}

test("the deadline is recorded before the guest freezes, and the guest is thawed then", async () => {
  const { clock, did, freezes, pass } = stage();
  const { filesystems, untilMs } = await freezes.freeze(guest, 10_000);
  assert.deepEqual([filesystems, untilMs - clock.now()], [2, 10_000]);
  assert.deepEqual(did, ["mark", "freeze"]);
  assert.equal(await freezes.frozenUntil(guest.id), untilMs);
  assert.ok(freezes.isFrozen(guest.id));
  await assert.rejects(freezes.freeze(guest, 1000), { reason: "GUEST_FROZEN" });
  await pass(9999);
  assert.deepEqual(did, ["mark", "freeze"]);
  await pass(1);
  assert.deepEqual(did, ["mark", "freeze", "thaw", "unmark"]);
  assert.ok(!freezes.isFrozen(guest.id));
  await pass(60_000);
  assert.equal(did.length, 4);
});

test("a guest that does not answer is thawed until it does", async () => {
  const { did, state, freezes, pass } = stage();
  state.fail = silent;
  await assert.rejects(freezes.freeze(guest, 300_000), { reason: "GUEST_OUTCOME_UNKNOWN" });
  for (let tries = 0; tries < 3; tries += 1) await pass(5000);
  assert.deepEqual(did, ["mark", "freeze", "thaw", "thaw", "thaw"]);
  state.fail = () => undefined;
  await pass(5000);
  assert.deepEqual(did.slice(-2), ["thaw", "unmark"]);
  assert.ok(!freezes.isFrozen(guest.id));
});

test("work that was cut off in its freeze thaws the guest and freezes it again", async () => {
  const { did, freezes } = stage();
  await freezes.freeze(guest, 30_000);
  await assert.rejects(
    freezes.during(guest, () => Promise.resolve()),
    { reason: "GUEST_FROZEN" },
  );
  did.length = 0;
  const isFrozen = await freezes.during(guest, () => Promise.resolve(void did.push("work")), true);
  assert.ok(isFrozen);
  assert.deepEqual(did, ["thaw", "unmark", "mark", "freeze", "work", "thaw", "unmark"]);
});

test("a guest that was not asked is not thawed, and may be frozen again", async () => {
  const { did, state, freezes, pass } = stage();
  state.fail = () => new SocleError("unavailable", "GUEST_AGENT_NOT_CONNECTED", "none");
  await assert.rejects(freezes.freeze(guest, 1000), { reason: "GUEST_AGENT_NOT_CONNECTED" });
  await pass(60_000);
  assert.deepEqual(did, ["mark", "freeze", "unmark"]);
  state.fail = () => undefined;
  await freezes.freeze(guest, 1000);
});

test("a guest whose agent refuses to thaw is left alone after some tries", async () => {
  const { did, state, freezes, pass } = stage();
  await freezes.freeze(guest, 1000);
  state.fail = () => new SocleError("conflict", "GUEST_REFUSED", "no");
  await pass(1000);
  for (let tries = 0; tries < 5; tries += 1) await pass(5000);
  assert.deepEqual(did, ["mark", "freeze", "thaw", "thaw", "thaw", "unmark"]);
});

test("work during a freeze reports whether the guest was frozen to its end, and ends with a thaw", async () => {
  const { did, freezes, pass } = stage();
  assert.equal(
    await freezes.during(guest, async () => {
      did.push("work");
      await pass(29_999);
    }),
    true,
  );
  assert.deepEqual(did, ["mark", "freeze", "work", "thaw", "unmark"]);
  assert.equal(await freezes.during(guest, () => pass(30_000)), false);
  const failing = freezes.during(guest, () => Promise.reject(new Error("the work failed")));
  await assert.rejects(failing, (thrown) => /the work failed/.test(toSocleError(thrown).message));
  assert.deepEqual(did.slice(-4), ["mark", "freeze", "thaw", "unmark"]);
});

test("the next agent thaws what was left frozen, and a closed one nothing", async () => {
  const { did, freezes, pass, state } = stage();
  await freezes.freeze(guest, 10_000);
  freezes.close();
  freezes.thawLeft(guest);
  await pass(60_000);
  assert.deepEqual(did, ["mark", "freeze"]);
  const next = stage();
  next.state.mark = state.mark;
  next.freezes.thawLeft(guest);
  await next.pass(0);
  assert.deepEqual(next.did, ["thaw", "unmark"]);
});

test("of two requests at the same time, the second is refused and leaves the first its deadline", async () => {
  const { did, state, freezes, pass } = stage();
  state.fail = (what) =>
    what === "freeze" && did.filter((each) => each === "freeze").length > 1
      ? new SocleError("unavailable", "GUEST_AGENT_BUSY", "busy")
      : undefined;
  const both = [freezes.freeze(guest, 10_000), freezes.freeze(guest, 10_000)];
  const [first, second] = await Promise.allSettled(both);
  assert.equal(first?.status, "fulfilled");
  assert.ok(second?.status === "rejected" && toSocleError(second.reason).reason === "GUEST_FROZEN");
  await pass(10_000);
  assert.deepEqual(did, ["mark", "freeze", "thaw", "unmark"]);
});

test("work does not count as quiesced if another caller thaws the guest during it", async () => {
  const { freezes } = stage();
  assert.equal(await freezes.during(guest, async () => void (await freezes.thaw(guest))), false);
  assert.equal(await freezes.during(guest, () => Promise.resolve()), true);
});

test("a restored guest is thawed, and one that was not frozen and has no agent is given up", async () => {
  const { did, freezes, pass } = stage();
  await freezes.thawRestored(guest, false);
  await pass(0);
  assert.deepEqual(did, ["mark", "thaw", "unmark"]);
  assert.ok(!freezes.isFrozen(guest.id));
  for (const wasFrozen of [false, true]) {
    const other = stage();
    other.state.fail = silent;
    await other.freezes.thawRestored(guest, wasFrozen);
    for (let tries = 0; tries < 20; tries += 1) await other.pass(5000);
    assert.equal(other.freezes.isFrozen(guest.id), wasFrozen);
    assert.equal(other.state.mark !== undefined, wasFrozen);
    other.freezes.close();
  }
});
