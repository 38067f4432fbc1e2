import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmod, chown, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { silentLog } from "../../../../agent/kernel/log.ts";
import { openStateDirectory } from "../../../../agent/state/records/state-directory.ts";
import { script } from "../../../support/programs.ts";
import { folder } from "../../../support/state/folder.ts";

const inUse = (error: unknown): boolean =>
  error instanceof SocleError && error.kind === "conflict" && error.reason === "STATE_IN_USE";

/**
 * Another process that tries to open the directory: prints "held" and stays, or its error's reason and ends.
 */
function otherAgent(t: TestContext, path: string): { answer: Promise<string>; kill: () => Promise<void> } {
  const agent = script(
    (urlOf) => `
    import { openStateDirectory } from "${urlOf("agent/state/records/state-directory.ts")}";
    import { silentLog } from "${urlOf("agent/kernel/log.ts")}";
    try {
      await openStateDirectory(process.argv[1], silentLog);
      console.log("held");
      setInterval(() => undefined, 1000);
    } catch (error) { console.log(error.reason ?? error.message); }
  `,
  );
  const child = spawn(process.execPath, [...agent, path], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  t.after(() => child.kill("SIGKILL"));
  const answer = new Promise<string>((resolve) =>
    child.stdout.once("data", (text) => resolve(String(text).trim())),
  );
  return {
    answer,
    kill: () => {
      child.kill("SIGKILL");
      return ended;
    },
  };
}

test("a missing directory is created for this user only", async (t) => {
  const path = join(await folder(t), "a", "b");
  const state = await openStateDirectory(path, silentLog);
  assert.equal((await stat(path)).mode & 0o777, 0o700);
  await state.release();
});

test("two agents never hold one directory; a killed one does not keep the next out", async (t) => {
  const path = await folder(t);
  const first = otherAgent(t, path);
  assert.equal(await first.answer, "held");
  await assert.rejects(openStateDirectory(path, silentLog), (error) => {
    assert.ok(inUse(error));
    assert.match((error as Error).message, /in use by the agent with pid \d+; stop that one/);
    return true;
  });
  await first.kill();
  const state = await openStateDirectory(path, silentLog);
  assert.equal(await otherAgent(t, path).answer, "STATE_IN_USE");
  await assert.rejects(openStateDirectory(path, silentLog), inUse);
  await state.release();
  await (await openStateDirectory(path, silentLog)).release();
  assert.equal((await readdir(path)).length, 1);
});

test("one of many agents that find a dead agent's lock at the same time gets it", async (t) => {
  for (let round = 0; round < 20; round += 1) {
    const path = await folder(t);
    await writeFile(join(path, "lock.7"), "1 1 an-older-boot");
    const results = await Promise.allSettled([
      openStateDirectory(path, silentLog),
      openStateDirectory(path, silentLog),
      openStateDirectory(path, silentLog),
    ]);
    assert.equal(results.filter(({ status }) => status === "fulfilled").length, 1);
    for (const result of results) if (result.status === "rejected") assert.ok(inUse(result.reason));
  }
});

test("a pid that now belongs to another process does not count as the holder", async (t) => {
  const path = await folder(t);
  await writeFile(join(path, "lock.1"), `${process.pid} 1 00000000-0000-0000-0000-000000000000`);
  await (await openStateDirectory(path, silentLog)).release();
  assert.deepEqual(await readdir(path), ["lock.2"]);
});

test("a directory that cannot be used is reported with its path, its user and a remedy", async (t) => {
  const directory = await folder(t);
  await writeFile(join(directory, "file"), "");
  await assert.rejects(openStateDirectory(join(directory, "file", "state"), silentLog), (error) => {
    assert.ok(error instanceof SocleError && error.kind === "unavailable");
    assert.equal(error.reason, "STATE_UNWRITABLE");
    assert.match(error.message, /file\/state cannot be used by \S+ \(uid \d+\): .*Create it for that user/);
    return true;
  });
});

test("a directory that others may read or own is used with a warning", async (t) => {
  const path = join(await folder(t), "state");
  await mkdir(path);
  await chmod(path, 0o755);
  if (process.geteuid?.() === 0) await chown(path, 12_345, 12_345);
  const warnings: string[] = [];
  const log = Object.assign(Object.create(silentLog) as typeof silentLog, {
    warn: (_: unknown, message: string) => warnings.push(message),
  });
  await (await openStateDirectory(path, log)).release();
  assert.match(warnings.at(-1) ?? "", /accessible to other users; chmod it to 0700/);
  assert.equal(warnings.length, process.geteuid?.() === 0 ? 2 : 1);
});

test("a directory that is deleted or replaced under the agent is noticed, and the other one stays as it is", async (t) => {
  const path = join(await folder(t), "state");
  const state = await openStateDirectory(path, silentLog);
  await rm(path, { recursive: true });
  await state.tryAgain();
  assert.equal(state.failure?.reason, "STATE_LOST");
  assert.match(state.failure.message, /put the state directory back as it was/);
  await mkdir(path);
  await state.tryAgain();
  assert.equal(state.failure.reason, "STATE_LOST");
  assert.deepEqual(await readdir(path), []);
  await state.release();
  assert.deepEqual(await readdir(path), []);
});

test("no second agent starts on the path of a living one whose directory was deleted", async (t) => {
  const path = join(await folder(t), "state");
  const first = otherAgent(t, path);
  assert.equal(await first.answer, "held");
  await rm(path, { recursive: true });
  await assert.rejects(openStateDirectory(path, silentLog), inUse);
  await assert.rejects(openStateDirectory(path, silentLog), /deleted or replaced since; stop that one/);
  await first.kill();
  await (await openStateDirectory(path, silentLog)).release();
});

test("another user's process that claims the directory's name does not keep the agent out, its own user's does", async (t) => {
  if (process.geteuid?.() !== 0) {
    t.skip("needs root to run a process of another user");
    return;
  }
  const path = join(await folder(t), "state");
  const first = otherAgent(t, path);
  assert.equal(await first.answer, "held");
  const names = (await readFile("/proc/net/unix", "latin1")).match(/@socle-agent\/[^\s@]+/g) ?? [];
  await first.kill();
  const squatter = spawn(process.execPath, ["-e", squat, ...names]);
  t.after(() => squatter.kill("SIGKILL"));
  await new Promise((resolve) => squatter.stdout.once("data", resolve));
  const warnings: string[] = [];
  const log = Object.assign(Object.create(silentLog) as typeof silentLog, {
    warn: (_: unknown, message: string) => warnings.push(message),
  });
  const state = await openStateDirectory(path, log);
  assert.match(
    warnings.join(),
    /of another user, claims to be the agent of this state directory; it is ignored/,
  );
  await rm(path, { recursive: true });
  assert.equal(await otherAgent(t, path).answer, "STATE_IN_USE");
  await state.release();
});

/** Takes the names, and two more of the same directory. */
const squat = `
  const { createServer } = require("node:net");
  process.setuid(65534);
  const names = process.argv.slice(1);
  const more = names.flatMap((name) => [name, name + "0", name.replace(/[^/]*$/, "squatter")]);
  let left = more.length;
  const done = () => (left -= 1) === 0 && console.log("taken");
  // Other agents of this machine keep their names.
  for (const name of more) createServer().on("error", done).listen("\\0" + name.slice(1), done);
`;
