import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { runInNewContext } from "node:vm";

const run = promisify(execFile);
const folder = join(import.meta.dirname, "../../systemd");
const unit = join(folder, "socle-agent.service");
/** Of systemd-analyze security, in tenths: 0 is nothing exposed, 100 everything. */
const mostExposure = 15;

const skip =
  spawnSync("systemd-analyze", ["--version"]).status === 0
    ? false
    : "systemd-analyze is not installed: run scripts/setup --tests";

async function temporary(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "socle-systemd-"));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

test("systemd finds nothing wrong with the unit", { skip }, async (t) => {
  const copy = join(await temporary(t), "socle-agent.service");
  // The program has to exist: the Node that runs this test does.
  await writeFile(copy, (await readFile(unit, "utf8")).replaceAll("/usr/bin/node", process.execPath));
  const { stdout, stderr } = await run("systemd-analyze", ["verify", "--man=no", copy]);
  assert.equal(stdout + stderr, "");
});

test("systemd finds nothing wrong with the unit and its drop-in for hardware", { skip }, async (t) => {
  const directory = await temporary(t);
  const copy = join(directory, "socle-agent.service");
  await writeFile(copy, (await readFile(unit, "utf8")).replaceAll("/usr/bin/node", process.execPath));
  await mkdir(`${copy}.d`);
  await writeFile(join(`${copy}.d`, "hardware.conf"), await readFile(join(folder, "hardware.conf")));
  const { stdout, stderr } = await run("systemd-analyze", ["verify", "--man=no", copy]);
  assert.equal(stdout + stderr, "");
});

test("the unit exposes as little as a JIT and a network service can", { skip }, async () => {
  const args = ["security", "--offline=true", "--no-pager", `--threshold=${mostExposure}`, unit];
  const { stdout } = await run("systemd-analyze", args);
  assert.match(stdout, /Overall exposure level/);
});

test("the unit's promises to its guests and its operator stand", async () => {
  const text = await readFile(unit, "utf8");
  for (const line of [
    "User=socle",
    "RuntimeDirectoryMode=0750",
    "StateDirectoryMode=0700",
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
  ]) {
    assert.ok(text.split("\n").includes(line), line);
  }
  // Nothing of libvirt's is bound to the agent: neither starts, stops or restarts the other.
  assert.doesNotMatch(text, /^(Requires|BindsTo|PartOf|Conflicts|Requisite|Upholds)=/m);
});

test("the user, its groups and its folders are made as the unit needs them", { skip }, async (t) => {
  const root = await temporary(t);
  await mkdir(join(root, "etc"));
  await run("systemd-sysusers", [`--root=${root}`, join(folder, "socle.sysusers")]);
  assert.match(
    await readFile(join(root, "etc/passwd"), "utf8"),
    /^socle:[^:]*:\d+:\d+:[^:]*:\/var\/lib\/socle:.*nologin$/m,
  );
  assert.match(await readFile(join(root, "etc/group"), "utf8"), /^libvirt:[^:]*:\d+:socle$/m);

  if (process.getuid?.() !== 0) {
    t.diagnostic("not root: who owns the folders is not checked");
    return;
  }
  await run("systemd-tmpfiles", [`--root=${root}`, "--create", join(folder, "socle.tmpfiles")]);
  const state = await stat(join(root, "var/lib/socle"));
  assert.equal(state.mode & 0o777, 0o700);
  assert.notEqual(state.uid, 0);
});

test("polkit lets the agent's user manage libvirt, and nobody and nothing else", async () => {
  type Rule = (action: { id: string }, subject: { user: string }) => string | undefined;
  const rules: Rule[] = [];
  const polkit = { addRule: (rule: Rule) => rules.push(rule), Result: { YES: "yes" } };
  runInNewContext(await readFile(join(folder, "50-socle.rules"), "utf8"), { polkit });
  const [rule] = rules;
  assert.ok(rule !== undefined && rules.length === 1);
  assert.equal(rule({ id: "org.libvirt.unix.manage" }, { user: "socle" }), "yes");
  assert.equal(rule({ id: "org.libvirt.unix.manage" }, { user: "mallory" }), undefined);
  assert.equal(rule({ id: "org.freedesktop.systemd1.manage-units" }, { user: "socle" }), undefined);
});
