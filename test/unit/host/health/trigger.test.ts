import assert from "node:assert/strict";
import test from "node:test";
import {
  acknowledge,
  aged,
  initialState,
  step as stepOnce,
  type Moment,
  type TriggerRule,
  type TriggerState,
  type Verdict,
} from "../../../../agent/host/health/trigger.ts";

const rule: TriggerRule = {
  reason: "TooFew",
  effect: "no_schedule",
  enter: { probes: 3, forMs: 0 },
  leave: { probes: 3, forMs: 60_000 },
};

const flapping = { flips: 3, withinMs: 30 * 60_000 };
const step = (of: TriggerRule, state: TriggerState, verdict: Verdict, at: Moment): TriggerState =>
  stepOnce(of, state, verdict, at, flapping);

/** Feeds verdicts 10 s apart and returns the status after each. */
function statuses(of: TriggerRule, verdicts: readonly Verdict["kind"][]): string[] {
  let state = initialState(of, moment(0));
  return verdicts.map((kind, index) => {
    state = step(of, state, { kind, evidence: kind }, moment(index * 10_000));
    return state.status;
  });
}

function moment(monotonicMs: number) {
  return { wallMs: 1_760_000_000_000 + monotonicMs, monotonicMs };
}

test("a trigger is unknown until its first probe, which decides a good state", () => {
  assert.equal(initialState(rule, moment(0)).status, "unknown");
  assert.deepEqual(statuses(rule, ["good"]), ["false"]);
});

test("it becomes true after three failures in a row, and a good probe between restarts the count", () => {
  assert.deepEqual(statuses(rule, ["bad", "bad", "bad"]), ["unknown", "unknown", "true"]);
  assert.deepEqual(statuses(rule, ["good", "bad", "bad", "good", "bad", "bad", "bad"]), [
    "false",
    "false",
    "false",
    "false",
    "false",
    "false",
    "true",
  ]);
});

test("it becomes false after three good probes and a minute, not earlier", () => {
  const good = Array<"good">(7).fill("good");
  assert.deepEqual(statuses(rule, ["bad", "bad", "bad", ...good]).slice(3), [
    ...Array<string>(6).fill("true"),
    "false",
  ]);
});

test("between the thresholds it neither becomes true nor false", () => {
  const slow = { ...rule, enter: { probes: 2, forMs: 60_000 }, leave: { probes: 1, forMs: 20_000 } };
  const bad = Array<"bad">(6).fill("bad");
  assert.equal(statuses(slow, [...bad, "between", ...bad]).at(-1), "false");
  assert.equal(statuses(slow, [...bad, "bad", "good", "good", "between", "good", "good"]).at(-1), "true");
  assert.equal(statuses(slow, [...bad, "bad", "good", "good", "good"]).at(-1), "false");
});

test("three undecided probes make a good trigger unknown, and leave a bad one bad", () => {
  assert.deepEqual(statuses(rule, ["good", "unknown", "unknown", "unknown", "good"]), [
    "false",
    "false",
    "false",
    "unknown",
    "false",
  ]);
  assert.equal(statuses(rule, ["bad", "bad", "bad", ...Array<"unknown">(9).fill("unknown")]).at(-1), "true");
});

test("three flips in half an hour latch it until it is acknowledged", () => {
  const quick = { ...rule, enter: { probes: 1, forMs: 0 }, leave: { probes: 1, forMs: 0 } };
  let state = initialState(quick, moment(0));
  const feed = (kind: Verdict["kind"], atMs: number): string => {
    state = step(quick, state, { kind, evidence: kind }, moment(atMs));
    return `${state.status}${state.latch === undefined ? "" : " latched"}`;
  };
  const minute = 60_000;
  assert.deepEqual(
    [feed("good", 0), feed("bad", minute), feed("good", 2 * minute), feed("bad", 3 * minute)],
    ["false", "true", "false", "true latched"],
  );
  assert.equal(feed("good", 4 * minute), "true latched");
  assert.equal(state.evidence, "changed 3 times within 30 min, most recently: bad");
  assert.equal(feed("good", 240 * minute), "true latched");
  state = acknowledge(quick, state);
  assert.equal(feed("good", 241 * minute), "false");
});

test("while it waits to become false it shows the current evidence with that of its start", () => {
  let state = initialState(rule, moment(0));
  const feed = (kind: Verdict["kind"], evidence: string, atMs: number): string => {
    state = step(rule, state, { kind, evidence }, moment(atMs));
    return state.evidence;
  };
  for (const atMs of [0, 1000, 2000]) feed("bad", "refused", atMs);
  const held = "well since 2025-10-09T08:53:30Z (held until 2025-10-09T08:54:30Z at the earliest)";
  assert.equal(feed("good", "answered in 3 ms", 10_000), `answered in 3 ms, ${held}; before: refused`);
  assert.equal(feed("good", "answered in 4 ms", 20_000), `answered in 4 ms, ${held}; before: refused`);
  assert.equal(feed("unknown", "no answer", 30_000), "unknown now: no answer; before: refused");
  assert.equal(feed("between", "slow", 40_000), "slow, not yet enough to end it; before: refused");
  assert.equal(feed("bad", "refused again", 50_000), "refused again");
  assert.match(feed("good", "answered", 60_000), /^answered, well since .*; before: refused again$/);
  for (const atMs of [90_000, 120_000]) feed("good", "answered", atMs);
  assert.deepEqual([state.status, state.evidence], ["false", "answered"]);
});

test("flips that are far apart do not latch", () => {
  const quick = { ...rule, enter: { probes: 1, forMs: 0 }, leave: { probes: 1, forMs: 0 } };
  let state = initialState(quick, moment(0));
  for (let flip = 0; flip < 10; flip += 1) {
    const kind = flip % 2 === 0 ? "good" : "bad";
    state = step(quick, state, { kind, evidence: kind }, moment(flip * 16 * 60_000));
    assert.equal(state.latch, undefined);
  }
});

test("a latching trigger holds after one bad probe, with its evidence, and ends once acknowledged", () => {
  const held: TriggerRule = { ...rule, enter: { probes: 1, forMs: 0 }, latch: "acknowledge" };
  let state = step(held, initialState(held, moment(0)), { kind: "bad", evidence: "remounted ro" }, moment(1));
  const good = { kind: "good", evidence: "fine" } as const;
  for (let minute = 1; minute <= 10; minute += 1) state = step(held, state, good, moment(minute * 60_000));
  assert.deepEqual([state.status, state.evidence], ["true", "remounted ro"]);
  state = step(held, acknowledge(held, state), good, moment(11 * 60_000));
  assert.equal(state.status, "false");
});

test("an acknowledgement alone does not end a trigger that waits for a reboot", () => {
  const held: TriggerRule = { ...rule, enter: { probes: 1, forMs: 0 }, latch: "reboot_and_acknowledge" };
  let state = step(held, initialState(held, moment(0)), { kind: "bad", evidence: "DIMM A1" }, moment(1));
  state = acknowledge(held, state);
  for (let hour = 1; hour <= 48; hour += 1)
    state = step(held, state, { kind: "good", evidence: "0 errors" }, moment(hour * 3_600_000));
  assert.deepEqual([state.status, state.latch?.acknowledged], ["true", true]);
});

test("a good trigger without probes becomes unknown after its time; a bad one stays bad", () => {
  const aging = { ...rule, staleAfterMs: 60_000 };
  const start = initialState(aging, moment(0));
  const well = step(aging, start, { kind: "good", evidence: "fine" }, moment(0));
  assert.equal(aged(aging, well, moment(60_000)).status, "false");
  const old = aged(aging, well, moment(75_000));
  assert.deepEqual([old.status, old.evidence], ["unknown", "not probed for 75 s"]);
  const bad = { kind: "bad", evidence: "broken" } as const;
  const ill = [0, 1, 2].reduce((state, at) => step(aging, state, bad, moment(at)), well);
  assert.equal(aged(aging, ill, moment(600_000)).status, "true");
});
