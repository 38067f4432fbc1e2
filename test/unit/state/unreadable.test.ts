// An agent whose state cannot be read starts all the same, changes nothing, and names the file and the way out.
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { openState, type State } from "../../../agent/composition/state.ts";
import { loadConfig } from "../../../agent/config/load.ts";
import { systemClock } from "../../../agent/kernel/clock.ts";
import { SocleError } from "../../../agent/kernel/errors.ts";
import { silentLog } from "../../../agent/kernel/log.ts";
import { encodeLine } from "../../../agent/state/journal-format.ts";
import { folder } from "./folder.ts";
import { request } from "./operations-stage.ts";

async function openIn(directory: string): Promise<State> {
  const { config } = await loadConfig(undefined);
  return await openState({
    config: { ...config, state: { ...config.state, directory } },
    version: "test",
    environment: {},
    clock: systemClock,
    log: silentLog,
  });
}

async function usedState(directory: string): Promise<void> {
  const state = await openIn(directory);
  for (const id of ["a", "b", "c"]) await state.operations.begin(request(id, { vmId: id }));
  state.events.append({ kind: "vm_defined", vmId: "a" });
  await state.close();
}

/** Flips a bit in the middle of the second line of what a file holds. */
const flipped = (bytes: Buffer): Buffer => {
  const bad = Buffer.from(bytes);
  const at = bytes.indexOf("\n") + 40;
  bad.writeUInt8(bad.readUInt8(at) ^ 1, at);
  return bad;
};
const laterRecord = (kind: string) => (): Buffer =>
  Buffer.concat([
    encodeLine(JSON.stringify({ journal: kind, version: 2 }), 0),
    encodeLine(JSON.stringify({ t: "of a later version" }), 0),
  ]);
const laterVersion = (kind: string) => (): Buffer =>
  encodeLine(JSON.stringify({ journal: kind, version: 3 }), 0);

for (const [name, damage, word] of [
  ["operations.journal", flipped, /operations\.journal: record 2 at byte \d+ is damaged.*from a backup/],
  [
    "operations.journal",
    laterRecord("operations"),
    /holds a record that this version does not know.*run the version/,
  ],
  [
    "operations.journal",
    laterVersion("operations"),
    /not a operations journal of version 2.*run the version/,
  ],
  ["reservations.journal", laterVersion("reservations"), /reservations\.journal is not .*run the version/],
  ["host.json", () => Buffer.from("{"), /host\.json is damaged. Put it back from a backup/],
  ["host.json", () => Buffer.from('{"version":2}'), /host\.json is of version 2, which a later Socle wrote/],
] as const) {
  test(`a start with ${name} that cannot be read takes no change and says why: ${word.source}`, async (t) => {
    const directory = await folder(t);
    await usedState(directory);
    const path = join(directory, name);
    const good = await readFile(path);
    const bad = damage(good);
    await writeFile(path, bad);
    const state = await openIn(directory);
    const isRefused = (error: unknown): boolean => {
      assert.ok(error instanceof SocleError, String(error));
      assert.deepEqual([error.kind, error.reason], ["unavailable", "STATE_UNREADABLE"]);
      assert.match(error.message, word);
      assert.match(error.message, /^changes are refused, reads and guests go on/);
      return true;
    };
    await assert.rejects(state.operations.begin(request("new")), isRefused);
    assert.throws(() => state.reservations.admit("caller"), isRefused);
    if (name === "host.json") {
      await assert.rejects(state.record.setScheduling({ state: "active", reason: "" }), isRefused);
      assert.equal(state.record.scheduling.state, "cordoned");
    }
    const failures = [state.record, state.operations, state.reservations].flatMap(
      ({ failure }) => failure?.reason ?? [],
    );
    assert.deepEqual(failures, ["STATE_UNREADABLE"], "which the condition is made of");
    const ended = new AbortController();
    ended.abort();
    await state.operations.untilPermitted(ended.signal);
    assert.equal(state.record.agentEpoch, 2, "no epoch comes again");
    assert.equal(state.events.append({ kind: "vm_removed", vmId: "a" }).agentEpoch, 2);
    await state.close();
    assert.deepEqual(await readFile(path), bad, "it is left as it is");
    await writeFile(path, good);
    const after = await openIn(directory);
    assert.equal(after.operations.interrupted.length, 3);
    assert.equal((await after.operations.begin(request("new"))).fresh, true);
    await after.close();
  });
}
