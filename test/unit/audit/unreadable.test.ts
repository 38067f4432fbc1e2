// An unreadable audit log prevents changes, names the file and the remedy, and is left untouched.
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { chmod, mkdir, readdir, readFile, rename, rm, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { buildAuditing } from "../../../agent/composition/audit.ts";
import type { Hypervisor } from "../../../agent/composition/hypervisor.ts";
import { openState } from "../../../agent/composition/state.ts";
import { loadConfig } from "../../../agent/config/load.ts";
import { systemClock } from "../../../agent/kernel/clock.ts";
import { createLog, silentLog } from "../../../agent/kernel/log.ts";
import { replaceFile } from "../../../agent/state/journal/durable-file.ts";
import { Trust } from "../../../agent/trust/index.ts";
import { failingDisk } from "../../support/state/failing-disk.ts";
import { folder } from "../../support/state/folder.ts";
import { request } from "../../support/state/operations-stage.ts";
import { auditLog, started, verified } from "../../support/audit/log-of.ts";

const query = { after: 0, through: 9, limit: 9, bytes: 1e6, isWanted: () => true };

async function usedLog(t: TestContext): Promise<string> {
  const directory = join(await folder(t), "audit");
  const { log } = await auditLog(directory);
  await log.record(started("a"));
  await log.close();
  return directory;
}

/**
 * Puts a directory, which no user can read as a file, in the file's place; returns a function that removes
 * it.
 */
async function hide(path: string): Promise<() => Promise<void>> {
  await rename(path, `${path}.good`);
  await mkdir(path);
  return async () => {
    await rmdir(path);
    await rename(`${path}.good`, path);
  };
}

async function overwrite(path: string, text: string): Promise<() => Promise<void>> {
  const good = await readFile(path);
  await writeFile(path, text);
  return () => writeFile(path, good);
}

const contentOf = async (directory: string): Promise<[string, string][]> => {
  const files = (await readdir(directory, { withFileTypes: true })).filter((entry) => entry.isFile());
  return await Promise.all(
    files.map(async ({ name }): Promise<[string, string]> => [
      name,
      await readFile(join(directory, name), "latin1"),
    ]),
  );
};

const firstSegment = "audit-000000000001.log";

const troubles: readonly [
  what: string,
  word: RegExp,
  damage: (directory: string) => Promise<() => Promise<void>>,
][] = [
  [
    "a key that others can read",
    /key\.pem is readable by other users\. Find out .*: chmod 600 \S+key\.pem\./,
    async (directory) => {
      const path = join(directory, "key.pem");
      await chmod(path, 0o644);
      return () => chmod(path, 0o600);
    },
  ],
  [
    "a damaged key",
    /key\.pem is not an Ed25519 private key in PEM form\. Restore it from a backup.*move it aside/,
    (directory) => overwrite(join(directory, "key.pem"), "-----BEGIN PRIVATE KEY-----\nA\n"),
  ],
  [
    "a key of another kind",
    /key\.pem is not an Ed25519 private key in PEM form\. Restore it from a backup/,
    (directory) =>
      overwrite(
        join(directory, "key.pem"),
        generateKeyPairSync("x25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
      ),
  ],
  [
    "a key that the file system cannot read",
    /key\.pem cannot be read \(EISDIR.*\): check the disk, and the owner and mode/,
    (directory) => hide(join(directory, "key.pem")),
  ],
  [
    "a public key that the file system cannot read",
    /key\.pub cannot be read \(EISDIR.*\): check the disk/,
    (directory) => hide(join(directory, "key.pub")),
  ],
  [
    "a checkpoint that the file system cannot read",
    /head\.json cannot be read \(EISDIR.*\): check the disk/,
    (directory) => hide(join(directory, "head.json")),
  ],
  [
    "a segment that the file system cannot read",
    /audit-000000000001\.log cannot be read \(EISDIR.*\): check the disk/,
    (directory) => hide(join(directory, firstSegment)),
  ],
  [
    "a file in place of the directory",
    /the audit log in \S+audit cannot be opened \(EEXIST.*\): check the disk, and the owner and mode/,
    async (directory) => {
      await rename(directory, `${directory}.good`);
      await writeFile(directory, "");
      return async () => {
        await rm(directory);
        await rename(`${directory}.good`, directory);
      };
    },
  ],
];

for (const [what, word, damage] of troubles)
  test(`${what}: the log refuses all entries with the remedy, and goes on once it is repaired`, async (t) => {
    const directory = await usedLog(t);
    const mend = await damage(directory);
    const before = await contentOf(directory).catch(() => undefined);
    const { log } = await auditLog(directory);
    const { failure } = log;
    assert.ok(failure !== undefined);
    assert.deepEqual([failure.kind, failure.reason], ["unavailable", "STATE_UNREADABLE"]);
    assert.match(failure.message, word);
    assert.match(
      failure.message,
      /^changes are refused, reads and guests go on: .* Then restart the agent\.$/,
    );
    await assert.rejects(log.record(started("b")), failure);
    await assert.rejects(log.checkpoint(), failure);
    await assert.rejects(log.page(query), failure);
    assert.throws(() => log.attest({ receipt: 1 }), failure);
    log.note({ act: "agent_started" });
    log.noteRepeatable(started("c"));
    await log.tryAgain();
    assert.equal(log.failure, failure);
    assert.deepEqual(log.state, {
      sequence: 0,
      bytes: 0,
      waiting: 0,
      refused: 3,
      damage: undefined,
      unreadable: failure.message,
    });
    await log.close();
    assert.deepEqual(await contentOf(directory).catch(() => undefined), before, "the file is untouched");
    await mend();
    const again = (await auditLog(directory)).log;
    assert.deepEqual([again.failure, again.state.damage], [undefined, undefined]);
    await again.record(started("d"));
    await again.close();
    const { problem, checkpoints } = await verified(directory);
    assert.deepEqual([problem, checkpoints > 0], [undefined, true]);
  });

test("a damaged key moved aside, as the refusal advises, is replaced by a new one, which the log records", async (t) => {
  const directory = await usedLog(t);
  const path = join(directory, "key.pem");
  await writeFile(path, "");
  assert.match((await auditLog(directory)).log.failure?.message ?? "", /move it aside/);
  await rename(path, `${path}.bad`);
  const { log } = await auditLog(directory);
  assert.equal(log.failure, undefined);
  assert.match(log.state.damage ?? "", /not signed by this host's key/);
  await log.close();
});

test("a log without space for its first files refuses changes until there is some", async (t) => {
  const directory = join(await folder(t), "audit");
  const { failing, restore } = await failingDisk(t, { code: "ENOSPC", of: /key\.pem/ });
  failing.write = true;
  const { log } = await auditLog(directory);
  assert.match(log.failure?.message ?? "", /cannot be opened .*: free space there\. Then restart the agent/);
  await log.close();
  restore();
  const again = (await auditLog(directory)).log;
  assert.equal(again.failure, undefined);
  await again.close();
});

test("a missing audit log is damage if this host had one before, and a new one begins", async (t) => {
  const directory = await folder(t);
  const { config } = await loadConfig(undefined);
  const basis = {
    config: { ...config, state: { ...config.state, directory } },
    version: "test",
    environment: {},
    clock: systemClock,
    log: silentLog,
  };
  const first = await openState(basis);
  assert.equal(first.audit.state.damage, undefined);
  await first.close();
  await rm(join(directory, "audit"), { recursive: true });
  const second = await openState(basis);
  assert.match(second.audit.state.damage ?? "", /the whole log is gone/);
  assert.equal(second.permit.refusal, undefined);
  await second.close();
  const third = await openState(basis);
  assert.equal(third.audit.state.damage, undefined, "the log records it from then on");
  await third.close();
});

test("an agent whose audit key is refused starts read-only: no change, no entry, no sink", async (t) => {
  const directory = await folder(t);
  const { config } = await loadConfig(undefined);
  const lines: string[] = [];
  const log = createLog({ level: "error", destination: { write: (line) => void lines.push(line) } });
  const basis = {
    config: { ...config, state: { ...config.state, directory } },
    version: "test",
    environment: {},
    clock: systemClock,
    log,
  };
  await (await openState(basis)).close();
  const key = join(directory, "audit/key.pem");
  await chmod(key, 0o644);
  const before = await contentOf(join(directory, "audit"));
  const state = await openState(basis);
  const { failure } = state.audit;
  assert.match(failure?.message ?? "", /chmod 600/);
  assert.deepEqual(
    lines.map((line) => (JSON.parse(line) as { msg: string }).msg),
    [failure?.message],
  );
  assert.equal(state.permit.refusal, failure);
  await assert.rejects(state.operations.begin(request("new")), failure);
  await assert.rejects(state.controlEpochs.raise(7, { name: "s", role: "scheduler" }), failure);
  assert.equal(state.events.append({ kind: "vm_defined", vmId: "a" }).agentEpoch, 2);
  const trust = new Trust({ ...config.trust, replaceFile, clock: systemClock, log: silentLog });
  const auditing = buildAuditing(basis, state, { hypervisor: {} as Hypervisor, trust });
  assert.deepEqual(
    auditing.services.map(({ name }) => name),
    ["audit-health", "operation-trail", "certificate-trail"],
  );
  const { refused, ...facts } = auditing.facts();
  assert.deepEqual([facts, refused > 0], [{ writable: false, sinks: [] }, true]);
  await state.close();
  assert.deepEqual(await contentOf(join(directory, "audit")), before);
  await chmod(key, 0o600);
  const after = await openState(basis);
  assert.equal(after.permit.refusal, undefined);
  assert.equal((await after.operations.begin(request("new"))).fresh, true);
  await after.close();
});
