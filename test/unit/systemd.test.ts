import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { appendFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { runInNewContext } from "node:vm";
import { configSchema } from "../../agent/config/schema.ts";
import { backupSocket } from "../../agent/vm/operations/backup-end.ts";

const run = promisify(execFile);
const folder = join(import.meta.dirname, "../../systemd");
const unit = join(folder, "socle-agent.service");
const units = [
  "socle-agent.service",
  "socle-guests.service",
  "socle-hardware.service",
  "socle-hardware.socket",
];
/**
 * The exposure by systemd-analyze security, in tenths: 0 is none, 100 all. The agent keeps its network,
 * /dev/kvm and the JIT; the helper its four capabilities and their devices.
 */
const mostExposure = { "socle-agent.service": 12, "socle-hardware.service": 15 };

const skip =
  spawnSync("systemd-analyze", ["--version"]).status === 0
    ? false
    : "systemd-analyze is not installed: run scripts/setup --tests";

async function temporary(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "socle-systemd-"));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

test("systemd finds no fault in the units", { skip }, async (t) => {
  const directory = await temporary(t);
  const copies = units.map((name) => join(directory, name));
  // The program has to exist: this test's Node does.
  for (const [index, name] of units.entries()) {
    const text = (await readFile(join(folder, name), "utf8")).replaceAll(
      /\/usr\/bin\/(node|socle)/g,
      process.execPath,
    );
    await writeFile(copies[index] ?? "", text);
  }
  const { stdout, stderr } = await run("systemd-analyze", ["verify", "--man=no", ...copies]);
  assert.equal(stdout + stderr, "");
});

for (const [name, most] of Object.entries(mostExposure))
  test(`${name} is exposed no more than necessary`, { skip }, async () => {
    const args = ["security", "--offline=true", "--no-pager", `--threshold=${most}`, join(folder, name)];
    const { stdout } = await run("systemd-analyze", args);
    const level = Number(/Overall exposure level for \S+: ([\d.]+)/.exec(stdout)?.[1]);
    assert.ok(level > 0 && level * 10 <= most, stdout);
  });

test("the helper has the capabilities that its queries need, and no socket; secrets are in no core dump and no swap", async () => {
  const lines = async (name: string): Promise<string[]> =>
    (await readFile(join(folder, name), "utf8")).split("\n");
  const [agent, helper] = [await lines("socle-agent.service"), await lines("socle-hardware.service")];
  const four = "CAP_SYSLOG CAP_DAC_OVERRIDE CAP_SYS_ADMIN CAP_SYS_RAWIO";
  for (const line of [
    `AmbientCapabilities=${four}`,
    `CapabilityBoundingSet=${four}`,
    "DynamicUser=yes",
    "RestrictAddressFamilies=none",
    "PrivateNetwork=yes",
    "RootDirectory=/usr/lib/socle/helper-root",
  ])
    assert.ok(helper.includes(line), line);
  for (const unit of [agent, helper])
    for (const line of ["LimitCORE=0", "CoredumpFilter=0x0", "MemorySwapMax=0", "IPAddressDeny=any"])
      assert.ok(unit.includes(line), line);
  assert.ok((await lines("socle-hardware.socket")).includes("SocketMode=0600"));
});

test("the unit keeps its contract with guests and operator", async () => {
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
  // No unit of libvirt is bound to the agent: neither starts, stops or restarts the other.
  assert.doesNotMatch(text, /^(Requires|BindsTo|PartOf|Conflicts|Requisite|Upholds)=/m);
});

test("the user, its groups and its folders are created as the unit needs them", { skip }, async (t) => {
  const root = await temporary(t);
  await mkdir(join(root, "etc"));
  await run("systemd-sysusers", [`--root=${root}`, join(folder, "socle.sysusers")]);
  assert.match(
    await readFile(join(root, "etc/passwd"), "utf8"),
    /^socle:[^:]*:\d+:\d+:[^:]*:\/var\/lib\/socle:.*nologin$/m,
  );
  assert.match(await readFile(join(root, "etc/group"), "utf8"), /^libvirt:[^:]*:\d+:socle$/m);

  if (process.getuid?.() !== 0) {
    t.diagnostic("not root: the folders' owners are not checked");
    return;
  }
  // libvirt's package makes QEMU's user.
  await appendFile(
    join(root, "etc/passwd"),
    "libvirt-qemu:x:64055:994::/var/lib/libvirt:/usr/sbin/nologin\n",
  );
  await run("systemd-tmpfiles", [`--root=${root}`, "--create", join(folder, "socle.tmpfiles")]);
  const state = await stat(join(root, "var/lib/socle"));
  assert.equal(state.mode & 0o777, 0o700);
  assert.notEqual(state.uid, 0);
  const sockets = await stat(join(root, "run/socle-guests"));
  assert.equal(sockets.mode & 0o7777, 0o2770);
  assert.equal(sockets.uid, 64055);
  assert.equal(sockets.gid, state.gid);
});

test("polkit permits only the agent's user to manage libvirt, and nothing else", async () => {
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

test("AppArmor lets the QEMU of a guest make the socket of its own backup, open no other, and read certificates", async () => {
  const text = await readFile(join(folder, "socle.apparmor"), "utf8");
  const rules = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  const { socketDirectory } = configSchema.parse({}).guest;
  const id = "6f1c2f1e-0000-4000-8000-000000000001";
  assert.deepEqual(
    // libvirt's name of the profile.
    rules.map((rule) => rule.trim().replace("@{profile_name}", `libvirt-${id}`)),
    [
      `owner ${backupSocket({ socketDirectory }, id)} rw,`,
      ...["/etc/pki/libvirt-backup/ r,", "/etc/pki/libvirt-backup/** r,"],
    ],
  );
});
