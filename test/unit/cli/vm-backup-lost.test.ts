import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import test from "node:test";
import { backupStage } from "../../support/cli/backup-stage.ts";
import { vmId } from "../../support/cli/samples.ts";

test("a backup whose beginning has no answer is ended by the next run into its directory, which begins its own", async (context) => {
  const on = await backupStage(context);
  const create = () => on.run("vm", "backup", "create", "web-1", "--to", on.directory);
  // That of the request, and that of the command's own attempt to end it.
  on.lostAnswers = 2;
  const first = await create();
  assert.equal(first.exitCode, 4);
  assert.match(first.stderr, /a backup that this command began may stay open on the host/);
  // The next run does not get an answer either, and keeps the note.
  on.lostAnswers = 1;
  assert.equal((await create()).exitCode, 4);
  const next = await create();
  assert.equal(next.exitCode, 0, next.stderr);
  assert.match(next.stderr, /ending backup b1, which an earlier run left open/);
  assert.deepEqual(on.asked, [
    ["begin", "", false, []],
    ["finish", "b1", false, false],
    ["begin", "", false, []],
    ["finish", "b2", true, true],
  ]);
  assert.deepEqual((await readdir(on.directory)).sort(), ["manifest.json", "root.b2.qcow2"]);
});

test("a command whose request to begin a backup has no answer repeats it and ends the backup", async (context) => {
  const on = await backupStage(context);
  const archive = `${on.directory}.tar`;
  for (const [index, line] of [
    ["backup", "create", "web-1", "--to", on.directory],
    ["export", "web-1", archive],
    ["backup", "open", "web-1"],
  ].entries()) {
    on.lostAnswers = 1;
    assert.equal((await on.run("vm", ...line)).exitCode, 4);
    assert.deepEqual(on.asked.splice(0), [
      ["begin", "", false, []],
      ["finish", `b${index + 1}`, false, false],
    ]);
  }
  assert.deepEqual(await readdir(on.directory), []);
  // Its caller repeats the request, and gets the same backup.
  const open = ["vm", "backup", "open", "web-1", "--request-id", "r-1"];
  on.lostAnswers = 1;
  assert.equal((await on.run(...open)).exitCode, 4);
  assert.match((await on.run(...open)).stdout, /id: b4\n/);
  assert.deepEqual(on.asked, [["begin", "", false, []]]);
});

test("a backup that is refused leaves no note, and the backup that it is refused for stays", async (context) => {
  const on = await backupStage(context);
  on.backups = [{ backupId: "elsewhere", vmId, state: "BACKUP_STATE_OPEN" }];
  const { exitCode } = await on.run("vm", "backup", "create", "web-1", "--to", on.directory);
  assert.equal(exitCode, 5);
  assert.deepEqual(on.asked, [["begin", "", false, []]]);
  assert.deepEqual(await readdir(on.directory), []);
});

test("a restoration whose creation has no answer deletes the VM that it made", async (context) => {
  const on = await backupStage(context, {
    spec: { disks: [{ name: "root", newVolume: { pool: "images" } }] },
  });
  await on.run("vm", "backup", "create", "web-1", "--to", on.directory);
  on.asked.length = 0;
  on.losesCreation = true;
  const { exitCode } = await on.run("vm", "restore", on.directory, "--name", "web-2", "--id", "keep");
  assert.equal(exitCode, 4);
  assert.equal(new Set(on.made).size, 1, "one request, repeated");
  assert.deepEqual(on.asked, [["delete", vmId]]);
});
