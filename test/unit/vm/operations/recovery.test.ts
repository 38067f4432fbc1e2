import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { silentLog, type Logger } from "../../../../agent/kernel/log.ts";
import { Settler, type SettlerOptions } from "../../../../agent/vm/operations/recovery.ts";
import { FakeClock } from "../../../support/host/fake-clock.ts";

test("ends that a journal refuses are logged once, as the journal's failure", async () => {
  const full = new SocleError("exhausted", "JOURNAL_FAILED", "no space");
  for (const [failure, errors] of [
    [full, 0],
    [undefined, 2],
  ] as const) {
    let logged = 0;
    const log = Object.assign(Object.create(silentLog) as Logger, { error: () => (logged += 1) });
    const operations = {
      failure,
      interrupted: [{ id: "a" }, { id: "b" }],
      // oxlint-disable-next-line typescript/require-await -- a generator of the interface
      watch: async function* () {
        yield* [];
      },
      untilPermitted: () => Promise.resolve(),
      get: (id: string) => ({ id, state: "running" }),
    };
    const vms = { endAgain: () => Promise.reject(full) };
    const table = { untilComplete: () => Promise.resolve() };
    const options = { operations, table, vms, clock: new FakeClock(), log };
    await new Settler(options as unknown as SettlerOptions).run(
      new AbortController().signal,
      () => undefined,
    );
    await new Promise(setImmediate);
    assert.equal(logged, errors);
  }
});

test("an outdated operation is never repeated: libvirt's state ends it, however late libvirt answers", async () => {
  const clock = new FakeClock();
  const requested: string[] = [];
  let isAway = true;
  const operations = {
    failure: undefined,
    interrupted: [{ id: "a" }, { id: "b" }],
    // oxlint-disable-next-line typescript/require-await -- a generator of the interface
    watch: async function* () {
      yield* [];
    },
    untilPermitted: () => Promise.resolve(),
    get: (id: string) => ({ id, state: "running" }),
  };
  const vms = {
    endAgain: ({ id }: { id: string }) => {
      requested.push(`end as decided ${id}`);
      return Promise.resolve(false);
    },
    resumeOperation: ({ id }: { id: string }) => requested.push(`resume ${id}`),
    endOutdated: ({ id }: { id: string }) => {
      requested.push(`end ${id}`);
      if (isAway) return Promise.reject(new SocleError("unavailable", "LIBVIRT_DISCONNECTED", "away"));
      return Promise.resolve({ id, state: "failed" });
    },
  };
  const table = { untilComplete: () => Promise.resolve() };
  const watermark = { isOutdated: (id: string) => id === "a" };
  const options = { operations, watermark, table, vms, clock, log: silentLog };
  const turns = async (): Promise<void> => {
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
  };
  await new Settler(options as unknown as SettlerOptions).run(new AbortController().signal, () => undefined);
  await turns();
  assert.deepEqual(requested, ["end a", "end as decided b", "resume b"]);
  isAway = false;
  clock.advance(5000);
  await turns();
  assert.deepEqual(requested, ["end a", "end as decided b", "resume b", "end a"]);
});

test("recovery leaves an operation alone that a person settled meanwhile", async () => {
  const requested: string[] = [];
  const operations = {
    failure: undefined,
    interrupted: [{ id: "a" }],
    // oxlint-disable-next-line typescript/require-await -- a generator of the interface
    watch: async function* () {
      yield* [];
    },
    untilPermitted: () => Promise.resolve(),
    get: (id: string) => ({ id, state: "succeeded" }),
  };
  const vms = {
    endAgain: () => Promise.resolve(requested.push("end")),
    endOutdated: () => Promise.resolve(requested.push("end outdated")),
  };
  const table = { untilComplete: () => Promise.resolve() };
  for (const isOutdated of [true, false]) {
    const watermark = { isOutdated: () => isOutdated };
    const options = { operations, table, vms, watermark, clock: new FakeClock(), log: silentLog };
    await new Settler(options as unknown as SettlerOptions).run(
      new AbortController().signal,
      () => undefined,
    );
    await new Promise(setImmediate);
  }
  assert.deepEqual(requested, []);
});

test("an operation that waits for a person is looked at each minute, and others every five seconds", async () => {
  const clock = new FakeClock();
  const requested: string[] = [];
  const unknown = (id: string, reason: string) => ({ id, state: "outcome_unknown", error: { reason } });
  const operations = {
    failure: undefined,
    interrupted: [],
    // oxlint-disable-next-line typescript/require-await -- a generator of the interface
    watch: async function* () {
      yield { kind: "item", value: unknown("move", "MOVE_IN_DOUBT") };
      yield { kind: "item", value: unknown("merge", "MERGE_IN_DOUBT") };
      yield { kind: "item", value: unknown("away", "LIBVIRT_OUTCOME_UNKNOWN") };
    },
    untilPermitted: () => Promise.resolve(),
    get: (id: string) => ({ id, state: "outcome_unknown" }),
  };
  const vms = {
    endAgain: () => Promise.resolve(false),
    resumeOperation: ({ id }: { id: string }) => requested.push(id),
  };
  const table = { untilComplete: () => Promise.resolve() };
  const options = { operations, table, vms, clock, log: silentLog };
  const turns = async (): Promise<void> => {
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
  };
  await new Settler(options as unknown as SettlerOptions).run(new AbortController().signal, () => undefined);
  await turns();
  clock.advance(5000);
  await turns();
  assert.deepEqual(requested, ["away"]);
  clock.advance(55_000);
  await turns();
  assert.deepEqual(requested, ["away", "move", "merge"]);
});
