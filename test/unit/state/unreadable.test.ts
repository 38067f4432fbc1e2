// An agent with unreadable state starts, changes nothing, and names the file and the remedy.
import assert from "node:assert/strict";
import { mkdir, readFile, rename, rm, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { openState, type State } from "../../../agent/composition/state.ts";
import { loadConfig } from "../../../agent/config/load.ts";
import { systemClock } from "../../../agent/kernel/clock.ts";
import { SocleError } from "../../../agent/kernel/errors.ts";
import { silentLog } from "../../../agent/kernel/log.ts";
import { encodeLine } from "../../../agent/state/journal/format.ts";
import { folder } from "../../support/state/folder.ts";
import { request } from "../../support/state/operations-stage.ts";

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

/** Flips a bit in the middle of the second line of a file. */
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
    /holds a record that this version does not know.*Run the version/,
  ],
  [
    "operations.journal",
    laterVersion("operations"),
    /not a operations journal of version 2.*Run the version/,
  ],
  [
    "reservations.journal",
    () => Buffer.from("{"),
    /reservations\.journal: record 1 .*without the reservations/,
  ],
  ["operations.journal", () => undefined, /operations\.journal is missing.*without the operations/],
  ["reservations.journal", () => undefined, /reservations\.journal is missing.*without the reservations/],
  ["reservations.journal", laterVersion("reservations"), /reservations\.journal is not .*Run the version/],
  ["host.json", () => Buffer.from("{"), /host\.json is damaged. Put it back from a backup/],
  ["host.json", () => Buffer.from('{"version":2}'), /host\.json is of version 2, which a later Socle wrote/],
] as const) {
  test(`a start with an unreadable ${name} refuses changes with the cause: ${word.source}`, async (t) => {
    const directory = await folder(t);
    await usedState(directory);
    const path = join(directory, name);
    const good = await readFile(path);
    const bad = damage(good);
    await (bad === undefined ? rm(path) : writeFile(path, bad));
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
    const get = { "operations.journal": state.operations, "reservations.journal": state.reservations };
    for (const [journal, book] of Object.entries(get))
      assert.throws(
        () => book.get("none"),
        journal === name
          ? {
              kind: "unavailable",
              reason: "STATE_UNREADABLE",
              message: /^whether .* none exists is not known: /,
            }
          : { kind: "not_found" },
        "its possible content is not reported as absent",
      );
    if (name === "host.json") {
      await assert.rejects(state.record.setScheduling({ state: "active", reason: "" }), isRefused);
      assert.equal(state.record.scheduling.state, "cordoned");
    }
    const failures = [state.record, state.operations, state.reservations].flatMap(
      ({ failure }) => failure?.reason ?? [],
    );
    assert.deepEqual(failures, ["STATE_UNREADABLE"], "the condition uses it");
    const ended = new AbortController();
    ended.abort();
    await state.operations.untilPermitted(ended.signal);
    assert.equal(state.record.agentEpoch, 2, "no epoch recurs");
    assert.equal(state.events.append({ kind: "vm_removed", vmId: "a" }).agentEpoch, 2);
    await state.close();
    assert.deepEqual(await readFile(path).catch(() => undefined), bad, "the file is untouched");
    await writeFile(path, good);
    const after = await openIn(directory);
    assert.equal(after.operations.interrupted.length, 3);
    assert.equal((await after.operations.begin(request("new"))).fresh, true);
    await after.close();
  });
}

const refusalOf = async (directory: string): Promise<string> => {
  const state = await openIn(directory);
  await state.close();
  return state.permit.refusal?.message ?? "";
};

for (const name of ["operations.journal", "reservations.journal"])
  test(`a ${name} that cannot be restored begins anew by its refusal's remedy`, async (t) => {
    const directory = await folder(t);
    await usedState(directory);
    const path = join(directory, name);
    await rm(path);
    const [, word = "", where] = /: echo (\w+) > (\S+)\. /.exec(await refusalOf(directory)) ?? [];
    assert.equal(where, path);
    assert.match(await refusalOf(directory), /is missing/, "as long as the remedy is not applied");
    await writeFile(path, `${word}\n`);
    const state = await openIn(directory);
    assert.equal(state.permit.refusal, undefined);
    assert.equal((await state.operations.begin(request("new"))).fresh, true);
    await state.close();
    const again = await openIn(directory);
    assert.ok(again.operations.list({ limit: 9 }).some(({ requestId }) => requestId === "new"));
    await again.close();
  });

test("a first start that was interrupted is no loss: missing files are created", async (t) => {
  for (const made of [["host.json"], ["host.json", "operations.journal"]]) {
    const directory = await folder(t);
    await (await openIn(directory)).close();
    const path = join(directory, "host.json");
    // The first write of a first start leaves it like this.
    const { hasJournals, crc32, ...first } = JSON.parse(await readFile(path, "utf8")) as Record<
      string,
      unknown
    >;
    assert.deepEqual([hasJournals, typeof crc32], [true, "string"]);
    await writeFile(path, JSON.stringify(first));
    for (const name of ["operations.journal", "reservations.journal"])
      if (!made.includes(name)) await rm(join(directory, name));
    const state = await openIn(directory);
    assert.equal(state.permit.refusal, undefined);
    await state.close();
  }
});

for (const [name, word] of [
  [
    "operations.journal",
    /operations\.journal cannot be read \(EISDIR.*\): check the disk.*from a backup\. Then restart/,
  ],
  ["reservations.journal", /reservations\.journal cannot be read \(EISDIR.*\): check the disk/],
  ["host.json", /host\.json cannot be read \(EISDIR.*\): check the disk, .*raise its agentEpoch/],
  ["host.json.epoch", /host\.json\.epoch cannot be read \(EINVAL.*\): check the disk, .*Else remove it/],
] as const)
  test(`a start with a ${name} that the file system cannot read refuses changes with the cause`, async (t) => {
    const directory = await folder(t);
    await usedState(directory);
    const path = join(directory, name);
    await rename(path, `${path}.good`).catch(() => undefined);
    await mkdir(path);
    const state = await openIn(directory);
    const failures = [state.record, state.operations, state.reservations].flatMap(
      ({ failure }) => failure ?? [],
    );
    assert.deepEqual(
      failures.map(({ kind, reason }) => [kind, reason]),
      [["unavailable", "STATE_UNREADABLE"]],
      "the condition uses it",
    );
    assert.match(failures[0]?.message ?? "", word);
    await assert.rejects(state.operations.begin(request("new")), failures[0]);
    assert.throws(() => state.reservations.admit("caller"), failures[0]);
    assert.equal(state.record.agentEpoch, 2, "no epoch recurs");
    await state.close();
    await rmdir(path);
    await rename(`${path}.good`, path).catch(() => undefined);
    const after = await openIn(directory);
    assert.equal(after.permit.refusal, undefined);
    assert.equal(after.operations.interrupted.length, 3);
    await after.close();
  });

test("a start that cannot create the journals leaves a state that the next start continues", async (t) => {
  const directory = await folder(t);
  for (const name of ["operations.journal", "reservations.journal"]) {
    await mkdir(join(directory, `${name}.new`));
    await assert.rejects(openIn(directory), { reason: "STATE_UNWRITABLE" });
    await rm(join(directory, `${name}.new`), { recursive: true });
  }
  const state = await openIn(directory);
  assert.equal(state.permit.refusal, undefined);
  await state.close();
});

test("operations lost before an upgrade count as missing where the reservations exist", async (t) => {
  const directory = await folder(t);
  await usedState(directory);
  await writeFile(
    join(directory, "host.json"),
    '{"version":1,"agentEpoch":4,"scheduling":{"state":"active","reason":""}}',
  );
  await rm(join(directory, "operations.journal"));
  assert.match(await refusalOf(directory), /operations\.journal is missing/);
});

test("journals lost together with host.json are not created before it is back", async (t) => {
  const directory = await folder(t);
  await usedState(directory);
  const record = await readFile(join(directory, "host.json"));
  for (const name of ["host.json", "operations.journal"]) await rm(join(directory, name));
  const state = await openIn(directory);
  assert.match(state.record.failure?.message ?? "", /host\.json is missing/);
  assert.match(state.operations.failure?.message ?? "", /operations\.journal is missing/);
  await state.close();
  await writeFile(join(directory, "host.json"), record);
  assert.match(await refusalOf(directory), /operations\.journal is missing/);
});

test("a lost host.json is written anew by its refusal's remedy, with its control epoch", async (t) => {
  const directory = await folder(t);
  await usedState(directory);
  const path = join(directory, "host.json");
  await rm(path);
  const refusal = await refusalOf(directory);
  assert.match(refusal, /socle host epoch reset --to E .*cordon it again/);
  const [template = ""] = /\{"version.*\}/.exec(refusal) ?? [];
  await writeFile(path, template.replace(":N", ":7").replace(":E", ":41"));
  const state = await openIn(directory);
  assert.equal(state.permit.refusal, undefined);
  assert.deepEqual([state.record.agentEpoch, state.record.controlEpoch], [8, 41]);
  await state.close();
});

test("a backup's host.json is edited by the refusal's remedy, and read", async (t) => {
  const directory = await folder(t);
  await usedState(directory);
  const path = join(directory, "host.json");
  const backup = await readFile(path, "utf8");
  await writeFile(path, '{"version":2}');
  assert.match(
    await refusalOf(directory),
    /raise its agentEpoch .*remove its crc32 with the comma before it/,
  );
  const raised = backup.replace(/"agentEpoch": \d+/, '"agentEpoch": 9');
  await writeFile(path, raised);
  assert.match(await refusalOf(directory), /is damaged.*remove its crc32/);
  await writeFile(path, raised.replace(/,\s*"crc32": "\w+"/, ""));
  const state = await openIn(directory);
  assert.deepEqual([state.permit.refusal, state.record.agentEpoch], [undefined, 10]);
  await state.close();
});
