// An agent that sends names to write, read or delete the files of others.
import assert from "node:assert/strict";
import { mkdir, readdir, readFile, symlink, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import test from "node:test";
import { backupStage } from "../../support/cli/backup-stage.ts";
import { socle } from "../../support/cli/fake-agent.ts";

const notNames = [
  "../other/root",
  "/tmp/root",
  "a/b",
  "..",
  ".",
  ".hidden",
  "",
  "-rf",
  "root\0",
  "root\n",
  "\u001b[31m",
  "a\\b",
  "é",
  "n".repeat(91),
];

test("a disk that the agent names by a path is written nowhere, and the backup of another VM stays", async (context) => {
  const on = await backupStage(context);
  const other = join(dirname(on.directory), "other");
  await mkdir(other);
  const theirs = join(other, "root.b1.qcow2");
  for (const isAbandoned of [false, true]) {
    await writeFile(theirs, "the backup of another VM");
    Object.assign(on, { isAbandoned, nextId: "b1", diskNames: ["../other/root"] });
    const { exitCode, stderr } = await on.run("vm", "backup", "create", "web-1", "--to", on.directory);
    assert.equal(await readFile(theirs, "utf8"), "the backup of another VM");
    assert.deepEqual(await readdir(other), ["root.b1.qcow2"]);
    assert.deepEqual(await readdir(on.directory), []);
    assert.equal(exitCode, 1, stderr);
    assert.match(stderr, /the agent names a disk '\.\.\/other\/root', which is no plain name/);
    assert.deepEqual(on.asked.at(-1), ["finish", "b1", false, false]);
  }
});

test("a name of a disk or a backup that is no plain name writes no file and no archive", async (context) => {
  const on = await backupStage(context);
  const archive = `${on.directory}.tar`;
  const parent = dirname(on.directory);
  for (const name of notNames)
    for (const isDisk of [true, false]) {
      Object.assign(
        on,
        isDisk ? { diskNames: [name], nextId: undefined } : { diskNames: ["root"], nextId: name },
      );
      for (const line of [
        ["backup", "create", "web-1", "--to", on.directory],
        ["export", "web-1", archive],
      ]) {
        on.backups = [];
        const { exitCode, stderr } = await on.run("vm", ...line);
        assert.equal(exitCode, 1, `${JSON.stringify(name)}: ${stderr}`);
        assert.match(stderr, /is no plain name|no id/, JSON.stringify(name));
      }
      assert.deepEqual(await readdir(parent), ["web"]);
      assert.deepEqual(await readdir(on.directory), [], JSON.stringify(name));
    }
});

test("an archive has each disk once", async (context) => {
  const on = await backupStage(context);
  on.diskNames = ["root", "root"];
  const { exitCode, stderr } = await on.run("vm", "export", "web-1", `${on.directory}.tar`);
  assert.equal(exitCode, 1, stderr);
  assert.match(stderr, /two files of the name root\.b1\.qcow2/);
  const twice = await on.run("vm", "backup", "create", "web-1", "--to", on.directory);
  assert.equal(twice.exitCode, 1, twice.stderr);
  assert.deepEqual(await readdir(on.directory), []);
});

test("the agent repeats the id of an earlier backup: its files stay, and are still in the manifest", async (context) => {
  const on = await backupStage(context);
  const create = () => on.run("vm", "backup", "create", "web-1", "--to", on.directory, "--full");
  await create();
  const files = ["manifest.json", "root.b1.qcow2"];
  const read = () => Promise.all(files.map((name) => readFile(join(on.directory, name))));
  const before = await read();
  for (const isAbandoned of [false, true]) {
    Object.assign(on, { isAbandoned, backups: [], nextId: "b1" });
    const { exitCode, stderr } = await create();
    assert.equal(exitCode, 1, stderr);
    assert.match(stderr, /b1 again/);
    assert.deepEqual((await readdir(on.directory)).sort(), files);
    assert.deepEqual(await read(), before);
  }
});

test("a file that has the name of a new one stays, and the backup is refused", async (context) => {
  const on = await backupStage(context);
  await mkdir(on.directory);
  const foreign = join(on.directory, "root.b1.qcow2");
  const outside = join(dirname(on.directory), "outside");
  await writeFile(outside, "outside");
  for (const place of [() => writeFile(foreign, "foreign"), () => symlink(outside, foreign)]) {
    await place();
    Object.assign(on, { nextId: "b1", backups: [] });
    const { exitCode, stderr } = await on.run("vm", "backup", "create", "web-1", "--to", on.directory);
    assert.equal(exitCode, 5, stderr);
    assert.match(stderr, /root\.b1\.qcow2 exists already/);
    assert.match(await readFile(foreign, "utf8"), /^(foreign|outside)$/);
    assert.deepEqual(await readdir(on.directory), ["root.b1.qcow2"]);
    await rename(foreign, `${foreign}.${String(on.asked.length)}`);
    for (const name of await readdir(on.directory))
      await rename(join(on.directory, name), `${on.directory}.${name}`);
  }
  assert.equal(await readFile(outside, "utf8"), "outside");
});

test("files whose names end as those of a backup that was left are not deleted", async (context) => {
  const on = await backupStage(context);
  await mkdir(on.directory);
  const foreign = ["movie.b9.qcow2", "root.0123456789abcdef.qcow2.part", "notes.part"];
  for (const name of foreign) await writeFile(join(on.directory, name), name);
  const request = {
    requestId: "00000000-0000-4000-8000-00000000000a",
    vm: "web-1",
    disks: [],
    baseBackup: "",
    quiesce: false,
    allowEncrypted: false,
  };
  const outside = join(dirname(on.directory), "outside.qcow2");
  await writeFile(outside, "outside");
  for (const file of ["movie.b9.qcow2", "../outside.qcow2"])
    for (const part of ["notes.part", "../outside.qcow2", "movie.b9.qcow2"]) {
      const note = { request, backupId: "b9", files: [{ file, part }] };
      await writeFile(join(on.directory, "backup.begun"), JSON.stringify(note));
      Object.assign(on, { backups: [], isAbandoned: true });
      await on.run("vm", "backup", "create", "web-1", "--to", on.directory);
      for (const name of foreign) assert.equal(await readFile(join(on.directory, name), "utf8"), name);
      assert.equal(await readFile(outside, "utf8"), "outside");
    }
});

test("a link in a directory of backups is not followed", async (context) => {
  const on = await backupStage(context);
  await on.run("vm", "backup", "create", "web-1", "--to", on.directory);
  for (const name of ["root.b1.qcow2", "manifest.json"]) {
    const path = join(on.directory, name);
    await rename(path, `${on.directory}.${name}`);
    await symlink(`${on.directory}.${name}`, path);
    const { exitCode, stdout, stderr } = await socle(["vm", "backup", "verify", on.directory]);
    assert.notEqual(exitCode, 0, stdout);
    assert.match(stderr, /is a link/);
    const next = await on.run("vm", "backup", "create", "web-1", "--to", on.directory);
    if (name === "manifest.json") assert.match(next.stderr, /is a link/);
    else assert.match(next.stderr, /full backup/);
  }
});
