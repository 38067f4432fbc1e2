// An older copy of a state directory in that directory's place, over one libvirt's secrets.
import assert from "node:assert/strict";
import { cp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { buildLease } from "../../../../agent/composition/hypervisor.ts";
import { openState, type State } from "../../../../agent/composition/state.ts";
import { parseConfig } from "../../../../agent/config/load.ts";
import { systemClock as clock, type Clock } from "../../../../agent/kernel/clock.ts";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { silentLog as log } from "../../../../agent/kernel/log.ts";
import { processIdentity } from "../../../../agent/kernel/lifecycle/process-identity.ts";
import * as libvirt from "../../../../agent/libvirt/index.ts";
import type { HypervisorLease } from "../../../../agent/vm/hypervisor/hypervisor-lease.ts";
import { eventually } from "../../../support/wait.ts";
import { FakeClock } from "../../../support/host/fake-clock.ts";
import { SecretStore } from "../../../support/vm/lease-stage.ts";
import { failingDisk } from "../../../support/state/failing-disk.ts";
import { folder } from "../../../support/state/folder.ts";
import { refusedAs, request, soonMs } from "../../../support/state/operations-stage.ts";

type Revocations = Parameters<typeof buildLease>[2]["revocations"];

const defaults = parseConfig("", "defaults").config;
const deaf = (): Promise<never> => Promise.reject(new SocleError("timeout", "GUEST_DEAF", "deaf"));

async function agent(
  t: TestContext,
  directory: string,
  store: SecretStore,
  {
    waits = true,
    leaseClock = clock,
    revocations = { listTimes: {}, note: () => undefined },
  }: { waits?: boolean; leaseClock?: Clock; revocations?: Revocations } = {},
): Promise<{ state: State; lease: HypervisorLease; stop: () => Promise<void> }> {
  const config = { ...defaults, state: { ...defaults.state, directory } };
  const basis = { config, version: "test", environment: {}, clock, log };
  const state = await openState(basis);
  // The fields that the lease uses.
  const lease = buildLease({ ...basis, clock: leaseClock }, state, {
    libvirt: store.calls as unknown as libvirt.Libvirt,
    revocations,
  });
  const end = new AbortController();
  t.after(() => end.abort());
  const done = lease.run(end.signal, () => undefined);
  if (waits) await state.operations.untilPermitted(AbortSignal.timeout(soonMs));
  const stop = async (): Promise<void> => {
    end.abort();
    await done;
    await state.close();
  };
  return { state, lease, stop };
}

/** Copies have no lock of a living agent. */
async function putInPlace(copy: string, directory: string): Promise<void> {
  for (const name of await readdir(copy)) if (name.startsWith("lock.")) await rm(join(copy, name));
  await rename(directory, `${directory}.aside`);
  await rename(copy, directory);
}

/** The copy has an operation without its end, which the agent has published since. */
async function copyWithoutEnd(t: TestContext): Promise<{
  directory: string;
  copy: string;
  store: SecretStore;
  first: Awaited<ReturnType<typeof agent>>;
  id: string;
}> {
  const base = await folder(t);
  const [directory, copy] = [join(base, "state"), join(base, "copy")];
  const store = new SecretStore();
  const first = await agent(t, directory, store);
  const { operation } = await first.state.operations.begin(request("a"));
  await cp(directory, copy, { recursive: true, verbatimSymlinks: true });
  await first.state.operations.run(operation, deaf).ended;
  assert.equal(first.state.operations.get(operation.id).state, "failed");
  return { directory, copy, store, first, id: operation.id };
}

for (const when of ["while the agent runs", "while it is stopped"])
  test(`an operation with a published end is outdated in a copy that replaces the state ${when}`, async (t) => {
    const { directory, copy, store, first, id: open } = await copyWithoutEnd(t);
    if (when === "while the agent runs") await putInPlace(copy, directory);
    await first.stop();
    if (when === "while it is stopped") await putInPlace(copy, directory);
    const second = await agent(t, directory, store);
    assert.deepEqual(
      second.state.operations.interrupted.map(({ id }) => [id, second.state.watermark.isOutdated(id)]),
      [[open, true]],
    );
    await second.stop();
  });

test("a request whose sync failed is outcome_unknown where libvirt refuses the watermark", async (t) => {
  const store = new SecretStore();
  const { state, stop } = await agent(t, join(await folder(t), "state"), store);
  store.refusals = 9;
  const { failing, restore } = await failingDisk(t, { of: /operations\.journal$/ });
  failing.datasync = 1;
  await assert.rejects(state.operations.begin(request("a")), refusedAs("outcome_unknown", "JOURNAL_FAILED"));
  restore();
  store.refusals = 0;
  await stop();
});

test("a copy with an unreadable journal still counts as older once it can be read", async (t) => {
  const { directory, copy, store, first, id } = await copyWithoutEnd(t);
  await first.stop();
  await putInPlace(copy, directory);
  const path = join(directory, "operations.journal");
  const whole = await readFile(path);
  const damaged = Buffer.from(whole);
  const at = damaged.indexOf("\n") + 40;
  damaged.writeUInt8(damaged.readUInt8(at) ^ 1, at);
  await writeFile(path, damaged);
  const lease = store.xml;
  const second = await agent(t, directory, store, { waits: false });
  await eventually(() => second.lease.failure?.reason === "STATE_UNREADABLE", {
    what: "the lease to be refused",
  });
  await second.stop();
  assert.equal(store.xml, lease);
  await writeFile(path, whole);
  const third = await agent(t, directory, store);
  assert.equal(third.state.watermark.isOutdated(id), true);
  await third.stop();
});

test("an older copy whose record cannot be written begins its event log anew once, at any number of tries", async (t) => {
  const base = await folder(t);
  const [directory, copy] = [join(base, "state"), join(base, "copy")];
  const store = new SecretStore();
  await (await agent(t, directory, store)).stop();
  await cp(directory, copy, { recursive: true, verbatimSymlinks: true });
  for (let starts = 0; starts < 3; starts += 1) await (await agent(t, directory, store)).stop();
  await putInPlace(copy, directory);
  const { failing, restore } = await failingDisk(t, { code: "ENOSPC", of: /host\.json\.new$/ });
  failing.write = true;
  const leaseClock = new FakeClock();
  let looks = 0;
  store.before = (procedure) => {
    if (procedure === libvirt.secretDefineXml) looks += 1;
    return Promise.resolve();
  };
  const { state, lease, stop } = await agent(t, directory, store, { waits: false, leaseClock });
  const logs = new Set<string>();
  for (let tries = 1; tries <= 3; tries += 1) {
    const hasLooked = (): boolean => looks >= tries && leaseClock.sleepingMs.includes(3000);
    await eventually(hasLooked, { what: "a look" });
    assert.equal(lease.failure?.reason, "STATE_UNWRITABLE");
    logs.add(state.events.logId);
    leaseClock.advance(3000);
  }
  assert.equal(logs.size, 1);
  assert.equal(state.events.recent(1000).filter(({ kind }) => kind === "resync").length, 1);
  restore();
  await stop();
});

test("a state directory that returns after another one begins its event log anew; a new one does not", async (t) => {
  const base = await folder(t);
  const [directory, other] = [join(base, "state"), join(base, "other")];
  const store = new SecretStore();
  const cordon = { kind: "scheduling_changed", reason: "", details: { state: "cordoned" } } as const;
  const logIds: string[] = [];
  const resyncs: number[] = [];
  for (const path of [directory, other, directory, directory]) {
    const { state, stop } = await agent(t, path, store);
    state.events.append(cordon);
    logIds.push(state.events.logId);
    resyncs.push(state.events.recent(1000).filter(({ kind }) => kind === "resync").length);
    await stop();
  }
  assert.equal(new Set(logIds).size, 3);
  assert.equal(logIds[2], logIds[3]);
  assert.deepEqual(resyncs, [0, 0, 1, 1]);
});

const raisedBy = { name: "scheduler-1", role: "scheduler" };

/**
 * A state with control epoch 1, its copy, and then `change` in the state alone. Returns the agent that starts
 * from the copy.
 */
async function afterRollback(
  t: TestContext,
  change: (state: State, store: SecretStore) => Promise<unknown>,
  start: (directory: string, store: SecretStore) => ReturnType<typeof agent> = (directory, store) =>
    agent(t, directory, store),
): ReturnType<typeof agent> {
  const base = await folder(t);
  const [directory, copy] = [join(base, "state"), join(base, "copy")];
  const store = new SecretStore();
  const first = await agent(t, directory, store);
  await first.state.controlEpochs.raise(1, raisedBy);
  await cp(directory, copy, { recursive: true, verbatimSymlinks: true });
  await change(first.state, store);
  // As after a kill: the lease's values were written before.
  const lease = store.xml;
  await first.stop();
  store.xml = lease;
  store.moveHolder({ process: { ...(await processIdentity()), start: "1" } });
  await putInPlace(copy, directory);
  return await start(directory, store);
}

test("an accepted control epoch fences in an older copy of the state too", async (t) => {
  const { state, stop } = await afterRollback(t, (before) => before.controlEpochs.raise(7, raisedBy));
  await assert.rejects(state.controlEpochs.raise(1, raisedBy), { reason: "CONTROL_EPOCH_STALE" });
  await state.controlEpochs.raise(7, raisedBy);
  assert.equal((await readFile(join(state.directory.path, "host.json"), "utf8")).includes('Epoch": 7'), true);
  await stop();
});

test("an administrator's reset holds in an older copy of the state too", async (t) => {
  const { state, stop } = await afterRollback(t, async (before) => {
    await before.controlEpochs.raise(7, raisedBy);
    assert.equal(await before.controlEpochs.reset(0), 7);
  });
  assert.deepEqual(state.record.controlFence, { epoch: 0, resets: 1 });
  await stop();
});

for (const [what, decide, fence] of [
  ["an accepted scheduler's epoch", (state: State) => state.controlEpochs.raise(7, raisedBy), [7, 1]],
  ["an administrator's reset", (state: State) => state.controlEpochs.reset(2), [2, 2]],
] as const)
  test(`${what} in an older copy while libvirt was away is not undone by the lease`, async (t) => {
    const leaseClock = new FakeClock();
    const { state, stop } = await afterRollback(
      t,
      async (before) => {
        await before.controlEpochs.raise(9, raisedBy);
        await before.controlEpochs.reset(6);
      },
      async (directory, store) => {
        store.failure = new SocleError("unavailable", "LIBVIRT_DISCONNECTED", "away");
        const second = await agent(t, directory, store, { waits: false, leaseClock });
        await decide(second.state);
        store.failure = undefined;
        leaseClock.advance(3000);
        await second.state.operations.untilPermitted(AbortSignal.timeout(soonMs));
        assert.equal(store.lease()["controlEpoch"], fence[0]);
        return second;
      },
    );
    const [epoch, resets] = fence;
    assert.deepEqual([state.record.controlFence, state.record.controlEpoch], [{ epoch, resets }, epoch]);
    await stop();
  });

test("a reset that libvirt did not record holds after a crash", async (t) => {
  const directory = join(await folder(t), "state");
  const store = new SecretStore();
  const first = await agent(t, directory, store);
  await first.state.controlEpochs.raise(7, raisedBy);
  const lease = store.xml;
  store.failure = new SocleError("unavailable", "LIBVIRT_DISCONNECTED", "away");
  assert.equal(await first.state.controlEpochs.reset(2), 7);
  await first.stop();
  assert.equal(store.xml, lease);
  store.failure = undefined;
  store.moveHolder({ process: { ...(await processIdentity()), start: "1" } });
  const second = await agent(t, directory, store);
  assert.equal(second.state.controlEpochs.controlEpoch, 2);
  assert.equal(store.lease()["controlEpoch"], 2);
  await second.stop();
});

test("a raise is not refused while libvirt is away or does not answer, and reaches the lease later", async (t) => {
  const store = new SecretStore();
  const leaseClock = new FakeClock();
  const { state } = await agent(t, join(await folder(t), "state"), store, { leaseClock });
  store.failure = new SocleError("unavailable", "LIBVIRT_DISCONNECTED", "away");
  await state.controlEpochs.raise(3, raisedBy);
  assert.equal(store.lease()["controlEpoch"], 0);
  store.failure = undefined;
  await eventually(
    () => {
      leaseClock.advance(3000);
      return store.lease()["controlEpoch"] === 3;
    },
    { what: "the lease to catch up" },
  );
  store.hangs = true;
  await state.controlEpochs.raise(4, raisedBy);
  assert.equal(state.record.controlFence.epoch, 4);
  await state.close();
});

test("a lost host.json that is rewritten by hand takes the control epoch of the lease", async (t) => {
  const directory = join(await folder(t), "state");
  const store = new SecretStore();
  const first = await agent(t, directory, store);
  await first.state.controlEpochs.raise(7, raisedBy);
  await first.stop();
  const path = join(directory, "host.json");
  await rm(path);
  const lease = store.xml;
  const second = await agent(t, directory, store, { waits: false });
  await eventually(() => second.lease.failure?.reason === "STATE_UNREADABLE", { what: "the refusal" });
  assert.match(second.lease.failure?.message ?? "", /see the condition StateUnreadable/);
  await second.stop();
  assert.equal(store.xml, lease, "nothing in the lease is lost meanwhile");
  await writeFile(path, '{"version":1,"agentEpoch":9,"scheduling":{"state":"active","reason":""}}');
  const third = await agent(t, directory, store);
  await assert.rejects(third.state.controlEpochs.raise(1, raisedBy), { reason: "CONTROL_EPOCH_STALE" });
  assert.equal(third.state.controlEpochs.controlEpoch, 7);
  await third.stop();
});
