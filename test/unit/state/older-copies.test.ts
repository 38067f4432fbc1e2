// An older copy of a state directory in the place of that directory, over one libvirt's secrets.
import assert from "node:assert/strict";
import { cp, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { buildLease } from "../../../agent/composition/hypervisor.ts";
import { openState, type State } from "../../../agent/composition/state.ts";
import { parseConfig } from "../../../agent/config/load.ts";
import { systemClock as clock } from "../../../agent/kernel/clock.ts";
import { SocleError } from "../../../agent/kernel/errors.ts";
import { silentLog as log } from "../../../agent/kernel/log.ts";
import type { Libvirt } from "../../../agent/libvirt/index.ts";
import { SecretStore } from "../vm/lease-stage.ts";
import { failingDisk } from "./failing-disk.ts";
import { folder } from "./folder.ts";
import { refusedAs, request, soonMs } from "./operations-stage.ts";

const defaults = parseConfig("", "defaults").config;
const deaf = (): Promise<never> => Promise.reject(new SocleError("timeout", "GUEST_DEAF", "deaf"));

async function agent(
  t: TestContext,
  directory: string,
  store: SecretStore,
): Promise<{ state: State; stop: () => Promise<void> }> {
  const config = { ...defaults, state: { ...defaults.state, directory } };
  const basis = { config, version: "test", environment: {}, clock, log };
  const state = await openState(basis);
  // The lease uses this much of it.
  const lease = buildLease(basis, state, store.calls as unknown as Libvirt);
  const end = new AbortController();
  t.after(() => end.abort());
  const done = lease.run(end.signal, () => undefined);
  await state.operations.untilPermitted(AbortSignal.timeout(soonMs));
  const stop = async (): Promise<void> => {
    end.abort();
    await done;
    await state.close();
  };
  return { state, stop };
}

/** Copies have no lock of a living agent. */
async function putInPlace(copy: string, directory: string): Promise<void> {
  for (const name of await readdir(copy)) if (name.startsWith("lock.")) await rm(join(copy, name));
  await rename(directory, `${directory}.aside`);
  await rename(copy, directory);
}

for (const when of ["while the agent runs", "while it is stopped"])
  test(`an operation whose end was shown is outdated in a copy that takes the state's place ${when}`, async (t) => {
    const base = await folder(t);
    const [directory, copy] = [join(base, "state"), join(base, "copy")];
    const store = new SecretStore();
    const first = await agent(t, directory, store);
    const { operation } = await first.state.operations.begin(request("a"));
    await cp(directory, copy, { recursive: true, verbatimSymlinks: true });
    await first.state.operations.run(operation, deaf).ended;
    assert.equal(first.state.operations.get(operation.id).state, "failed");
    if (when === "while the agent runs") await putInPlace(copy, directory);
    await first.stop();
    if (when === "while it is stopped") await putInPlace(copy, directory);
    const second = await agent(t, directory, store);
    assert.deepEqual(
      second.state.operations.interrupted.map(({ id }) => [id, second.state.watermark.isOutdated(id)]),
      [[operation.id, true]],
    );
    await second.stop();
  });

test("a request whose sync failed is outcome_unknown where libvirt refuses the mark", async (t) => {
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
