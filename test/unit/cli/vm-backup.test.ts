import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { statSync } from "node:fs";
import { readdir, readFile, rename, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import type { Manifest } from "../../../agent/cli/backup/manifest.ts";
import { backupStage, CLUSTER } from "../../support/cli/backup-stage.ts";
import { socle } from "../../support/cli/fake-agent.ts";
import { vmId } from "../../support/cli/samples.ts";

test("a backup goes on where its stream broke, is ended with success once it is durable, and is the next one's base", async (context) => {
  const on = await backupStage(context);
  on.breaks = 1;
  const first = await on.run("vm", "backup", "create", "web-1", "--to", on.directory, "--quiesce");
  assert.equal(first.exitCode, 0, first.stderr);
  assert.match(first.stdout, /done, full, 1 disk/);
  assert.match(first.stderr, /full backup: the directory has no backup yet/);
  assert.deepEqual(on.offsets, [0, CLUSTER]);
  assert.deepEqual(on.asked, [
    ["begin", "", true, []],
    ["finish", "b1", true, true],
  ]);
  assert.deepEqual((await readdir(on.directory)).sort(), ["manifest.json", "root.b1.qcow2"]);
  const second = await on.run(
    "vm",
    "backup",
    "create",
    "web-1",
    "--to",
    on.directory,
    "--disk",
    "root",
    "--json",
  );
  assert.equal(second.exitCode, 0, second.stderr);
  const { backup } = JSON.parse(second.stdout) as { backup: { disks: { base?: string }[] } };
  assert.equal(backup.disks[0]?.base, "root.b1.qcow2");
  assert.deepEqual(on.asked[2], ["begin", "b1", false, ["root"]]);
  // The host has another newest one: its changes are not since the directory's.
  on.backups = [{ ...on.backups[0], backupId: "elsewhere" }];
  const third = await on.run("vm", "backup", "create", "web-1", "--to", on.directory);
  assert.match(
    third.stderr,
    /full backup: the newest of the host is elsewhere, and that of the directory b2/,
  );
  assert.deepEqual(on.asked[4], ["begin", "", false, []]);
});

test("a backup that cannot be read is ended without success, and leaves no file", async (context) => {
  const on = await backupStage(context);
  on.isAbandoned = true;
  const { exitCode, stderr } = await on.run("vm", "backup", "create", "web-1", "--to", on.directory);
  assert.equal(exitCode, 5);
  assert.match(stderr, /outgrew its scratch/);
  assert.deepEqual(on.asked.at(-1), ["finish", "b1", false, false]);
  assert.deepEqual(await readdir(on.directory), []);
});

test("a backup whose answer was lost is ended by the next run, with success if its manifest is durable", async (context) => {
  const on = await backupStage(context);
  await on.run("vm", "backup", "create", "web-1", "--to", on.directory);
  on.backups = [{ ...on.backups[0], state: "BACKUP_STATE_OPEN" }];
  const next = await on.run("vm", "backup", "create", "web-1", "--to", on.directory);
  assert.equal(next.exitCode, 0, next.stderr);
  assert.match(next.stderr, /ending backup b1, which an earlier run left open/);
  assert.deepEqual(on.asked.slice(2), [
    ["finish", "b1", true, true],
    ["begin", "b1", false, []],
    ["finish", "b2", true, true],
  ]);
});

test("backups are listed and ended; a directory of another VM is refused", async (context) => {
  const on = await backupStage(context);
  await on.run("vm", "backup", "create", "web-1", "--to", on.directory);
  const listed = await on.run("vm", "backup", "ls", "web-1");
  assert.match(listed.stdout, /b1 .* complete/);
  const ofAll = await on.run("vm", "backup", "ls");
  assert.match(ofAll.stdout, /^web-1 +b1 .* complete/m);
  await on.run("vm", "backup", "end", "web-1", "b1");
  assert.deepEqual(on.asked.at(-1), ["finish", "b1", false, true]);
  const path = join(on.directory, "manifest.json");
  const other = (await readFile(path, "utf8")).replaceAll(vmId, "00000000-0000-4000-8000-00000000000f");
  await writeFile(path, other);
  const refused = await on.run("vm", "backup", "create", "web-1", "--to", on.directory);
  assert.equal(refused.exitCode, 5);
  assert.match(refused.stderr, /another directory for each VM/);
});

test("verify needs no agent, and finds a file that was changed", async (context) => {
  const on = await backupStage(context);
  await on.run("vm", "backup", "create", "web-1", "--to", on.directory);
  const verify = (...more: string[]) => socle(["vm", "backup", "verify", on.directory, ...more]);
  assert.equal((await verify()).exitCode, 0);
  assert.equal((await verify("--backup", "none")).exitCode, 3);
  await truncate(join(on.directory, "root.b1.qcow2"), 1000);
  const { exitCode, stdout } = await verify();
  assert.equal(exitCode, 1);
  assert.match(stdout, /root\.b1\.qcow2 .* damaged/);
});

test("a first backup with a passphrase over one in clear is full, so that no file below it is in clear", async (context) => {
  const on = await backupStage(context);
  const key = `${on.directory}.key`;
  await writeFile(key, "the passphrase\n", { mode: 0o600 });
  const create = (...more: string[]) =>
    on.run("vm", "backup", "create", "web-1", "--to", on.directory, ...more);
  await create();
  const sealed = await create("--passphrase-file", key);
  assert.equal(sealed.exitCode, 0, sealed.stderr);
  assert.match(sealed.stderr, /full backup: the newest of the directory is in clear/);
  const next = await create("--passphrase-file", key);
  assert.equal(next.exitCode, 0, next.stderr);
  assert.deepEqual(
    on.asked.flatMap((each) => (Array.isArray(each) && each[0] === "begin" ? [each[1] as string] : [])),
    ["", "", "b2"],
  );
});

test("with a passphrase all files are encrypted, and nothing is read without it", async (context) => {
  const spec = { disks: [{ name: "root", newVolume: { pool: "images" } }] };
  const on = await backupStage(context, { spec });
  const key = (name: string): string => `${on.directory}.${name}`;
  for (const [name, text, mode] of [
    ["key", "first passphrase", 0o600],
    ["other", "second passphrase", 0o600],
    ["seen", "first passphrase", 0o640],
    ["empty", "", 0o600],
    ["line", "\n", 0o600],
    ["blank", `${" ".repeat(40)}\n`, 0o600],
    ["short", "secret!\n", 0o600],
    ["long", "a".repeat(1025), 0o600],
    ["binary", "\xff\xfe", 0o600],
  ] as const)
    await writeFile(key(name), Buffer.from(text, "latin1"), { mode });
  const create = (...more: string[]) =>
    on.run("vm", "backup", "create", "web-1", "--to", on.directory, ...more);
  const refused = async (run: ReturnType<typeof create>, pattern: RegExp): Promise<void> => {
    const { exitCode, stderr } = await run;
    assert.equal(exitCode, 2, stderr);
    assert.match(stderr, pattern);
  };
  for (const [name, pattern] of [
    ["seen", /chmod 600/],
    ["empty", /fewer than 8 bytes/],
    ["line", /fewer than 8 bytes/],
    ["blank", /fewer than 8 bytes/],
    ["short", /fewer than 8 bytes/],
    ["long", /more than 1024 bytes/],
    ["binary", /takes only text/],
    ["none", /cannot be read: ENOENT/],
  ] as const)
    await refused(create("--passphrase-file", key(name)), pattern);
  assert.deepEqual(on.asked, []);
  const taken = await create("--passphrase-file", key("key"));
  assert.equal(taken.exitCode, 0, taken.stderr);
  assert.deepEqual(on.consents, [true]);
  const manifest = JSON.parse(await readFile(join(on.directory, "manifest.json"), "utf8")) as Manifest;
  assert.equal(manifest.backups[0]?.disks[0]?.encryption, "luks");
  const file = await readFile(join(on.directory, "root.b1.qcow2"));
  assert.ok(!file.includes(Buffer.alloc(512, 1)) && !file.includes(Buffer.alloc(512, 2)));
  // Before anything begins on the host.
  await refused(create(), /is encrypted: name the file/);
  await refused(create("--passphrase-file", key("other")), /does not open with this passphrase/);
  // The host has lost its base, then the directory its newest file: it would be full, in clear or under another passphrase.
  const kept = on.backups;
  on.backups = [];
  await refused(create(), /is encrypted: name the file/);
  await refused(create("--passphrase-file", key("other")), /does not open with this passphrase/);
  on.backups = kept;
  await rename(join(on.directory, "root.b1.qcow2"), join(on.directory, "away"));
  await refused(create(), /is encrypted: name the file/);
  await rename(join(on.directory, "away"), join(on.directory, "root.b1.qcow2"));
  assert.equal(on.asked.length, 2);
  const restore = (...more: string[]) => on.run("vm", "restore", on.directory, "--name", "web-2", ...more);
  await refused(restore(), /is encrypted: name the file/);
  await refused(restore("--passphrase-file", key("other")), /does not open with this passphrase/);
  assert.deepEqual(on.made, []);
  await restore("--passphrase-file", key("key"));
  assert.deepEqual(on.made, ["web-2"]);
  assert.equal((await socle(["vm", "backup", "verify", on.directory])).exitCode, 0);
  // A file in clear that is said to be encrypted.
  const plain = {
    ...manifest,
    backups: manifest.backups.map((each) => ({
      ...each,
      disks: each.disks.map(({ encryption: _, ...disk }) => disk),
    })),
  };
  await writeFile(join(on.directory, "manifest.json"), JSON.stringify(plain));
  const { exitCode, stdout } = await socle(["vm", "backup", "verify", on.directory]);
  assert.deepEqual([exitCode, stdout.includes("damaged")], [1, true], stdout);
});

test("an archive is written to a plain file alone, and its import reads no volume of the host unasked", async (context) => {
  const spec = {
    disks: [
      { name: "root", newVolume: { pool: "images" } },
      { name: "tools", volume: { pool: "iso", volume: "tools.iso" }, readOnly: true },
    ],
  };
  const on = await backupStage(context, { spec });
  const archive = `${on.directory}.tar`;
  execFileSync("mkfifo", [archive]);
  const taken = await on.run("vm", "export", "web-1", archive);
  assert.deepEqual([taken.exitCode, taken.stderr.includes("is no file")], [2, true], taken.stderr);
  assert.ok(statSync(archive).isFIFO());
  const waiting = await on.run("vm", "import", archive);
  assert.match(waiting.stderr, /is no file/);
  await rm(archive);
  const written = await on.run("vm", "export", "web-1", archive);
  assert.equal(written.exitCode, 0, written.stderr);
  const refused = await on.run("vm", "import", archive, "--name", "web-2");
  assert.equal(refused.exitCode, 2);
  assert.match(refused.stderr, /disk tools is tools\.iso of pool iso[^]*--accept volumes/);
  assert.deepEqual(on.made, []);
  const accepted = await on.run("vm", "import", archive, "--name", "web-2", "--accept", "volumes");
  assert.notEqual(accepted.exitCode, 0, "this agent makes no VM");
  assert.deepEqual(on.made, ["web-2"]);
});

test("a backup opened without a wait prints its operation, and the command repeated prints where", async (context) => {
  const on = await backupStage(context);
  const open = ["vm", "backup", "open", "web-1", "--request-id", "r-1"];
  on.beginsLater = true;
  const begun = await on.run(...open, "--no-wait");
  assert.deepEqual([begun.exitCode, begun.stdout], [0, "op-1\n"], begun.stderr);
  const begin = ["begin", "", false, []];
  // It is not ended.
  assert.deepEqual(on.asked, [begin]);
  on.beginsLater = false;
  const { stdout, stderr } = await on.run(...open);
  assert.match(stdout, /^backup web-1: open until .*\n {2}id: b1\n {2}nbd: /, stderr);
  assert.deepEqual(on.asked, [begin]);
});
