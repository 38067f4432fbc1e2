// The package's whole life on a compute node, one step after the other: see scripts/e2e.
import assert from "node:assert/strict";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { eventually } from "../lab/wait.ts";
import { ComputeNode } from "./compute-node.ts";

const repository = join(import.meta.dirname, "../..");
const cache = join(repository, ".cache");
const [first, second] = ["socle_0.1.0-1_all.deb", "socle_0.1.0-2_all.deb"];
let node: ComputeNode;
let shared = "";

before(async () => {
  shared = await mkdtemp(join(tmpdir(), "socle-e2e-"));
  for (const deb of [first, second]) await copyFile(join(cache, "e2e", deb), join(shared, deb));
  for (const file of ["vmlinuz", "initrd", "bootsector.img"])
    await copyFile(join(cache, "guest", file), join(shared, file));
  node = await ComputeNode.boot(join(cache, "e2e/node"), shared);
});
after(async () => {
  await node.stop();
  await rm(shared, { recursive: true, force: true });
});

const property = async (name: string): Promise<string> =>
  (await node.run("systemctl", "show", "-P", name, "socle-agent")).trim();
const mainPid = async (): Promise<number> => Number(await property("MainPID"));
const agentReady = async (): Promise<boolean> =>
  (await property("ActiveState")) === "active" && (await node.try("socle", "status")).code === 0;
/** The guest's QEMU and when it began, as the node's kernel tells: the same pair is the same guest. */
const qemuOf = async (guest: string): Promise<string> =>
  (await node.run("pgrep", "-f", `guest=${guest},`)).trim() +
  (await node.run("ps", "-C", "qemu-system-x86_64,qemu-system-x86", "-o", "pid=,lstart="));
const operations = async (): Promise<readonly { operationId: string; state: string }[]> => {
  const list = JSON.parse(await node.run("socle", "--json", "operations", "ls")) as {
    operations: { operationId: string; state: string }[];
  };
  return list.operations;
};

test("apt installs it: the service is READY, as a user of its own, in its sandbox", async () => {
  await node.run("apt-get", "install", "-y", "-q", `/mnt/${first}`);
  await eventually(agentReady, { what: "the agent to be ready", timeoutMs: 60_000 });
  assert.equal(await property("Type"), "notify-reload");
  assert.match(await property("StatusText"), /0 VMs/);
  assert.equal((await node.run("ps", "-o", "user=", "-p", String(await mainPid()))).trim(), "socle");
  assert.match(await node.run("grep", "CapEff", `/proc/${await mainPid()}/status`), /0{16}$/m);
  const exposure = await node.run("systemd-analyze", "security", "--no-pager", "socle-agent");
  const level = Number(/exposure level for socle-agent.service: ([\d.]+)/.exec(exposure)?.[1]);
  assert.ok(level <= 1.5, `exposure ${level}`);
  assert.equal((await node.try("socle", "doctor")).code, 0);
  for (const page of ["1/socle.1", "5/socle-agent.yaml.5", "7/socle-metrics.7", "8/socle-agent.8"])
    await node.run("test", "-s", `/usr/share/man/man${page}.gz`);
});

test("a guest boots through it, as libvirt and its own console tell", async () => {
  await node.run("virsh", "pool-define-as", "default", "dir", "--target", "/var/lib/libvirt/images");
  await node.run("virsh", "pool-start", "default");
  for (const file of ["vmlinuz", "initrd", "bootsector.img"])
    await node.run("cp", `/mnt/${file}`, `/var/lib/libvirt/images/${file}`);
  await node.run("virsh", "pool-refresh", "default");
  await node.run(
    ...[
      "socle",
      "vm",
      "create",
      "--name",
      "linux",
      "--vcpus",
      "1",
      "--memory",
      "128MiB",
      "--accelerator",
      "tcg",
    ],
    ...["--kernel", "default/vmlinuz", "--initrd", "default/initrd", "--cmdline", "console=ttyS0 quiet"],
  );
  assert.equal((await node.run("virsh", "domstate", "linux")).trim(), "running");
  // virsh wants a terminal for it, which script is.
  const words = await node.try(
    "timeout",
    "90",
    "script",
    "-qec",
    "virsh console linux --force | grep -m 1 socle-guest:",
    "/dev/null",
  );
  assert.match(words.stdout, /socle-guest: (booted|tick)/);
  await node.run(
    ...[
      "socle",
      "vm",
      "create",
      "--name",
      "deaf",
      "--vcpus",
      "1",
      "--memory",
      "32MiB",
      "--accelerator",
      "tcg",
    ],
    ...["--disk", "default/bootsector.img"],
  );
  assert.equal((await node.run("virsh", "domstate", "deaf")).trim(), "running");
});

test("an agent whose event loop is stuck is killed by the watchdog and started again; nothing is lost", async () => {
  const guests = await qemuOf("linux");
  const before = { pid: await mainPid(), operations: await operations() };
  await node.run("kill", "-STOP", String(before.pid));
  await eventually(async () => (await mainPid()) !== before.pid && (await agentReady()), {
    what: "the watchdog to have it started again",
    timeoutMs: 120_000,
    intervalMs: 500,
  });
  assert.ok(Number(await property("NRestarts")) >= 1);
  assert.match(await node.run("journalctl", "-u", "socle-agent", "--no-pager"), /[Ww]atchdog timeout/);
  assert.equal(await qemuOf("linux"), guests);
  const ended = new Map((await operations()).map(({ operationId, state }) => [operationId, state]));
  assert.equal(before.operations.length, 2);
  for (const { operationId, state } of before.operations) assert.equal(ended.get(operationId), state);
});

test("an upgrade in the middle of an operation: the guests run on, and the operation comes to its end", async () => {
  const guests = await qemuOf("linux");
  const old = await mainPid();
  // This guest does not hear the power button, so that its stop takes its whole grace.
  await node.run("socle", "vm", "stop", "deaf", "--grace", "45s", "--force", "--no-wait");
  await node.run("apt-get", "install", "-y", "-q", `/mnt/${second}`);
  assert.match(await node.run("dpkg-query", "-W", "socle"), /0\.1\.0-2/);
  await eventually(async () => (await mainPid()) !== old && (await agentReady()), {
    what: "the new agent",
    timeoutMs: 60_000,
  });
  assert.equal((await node.run("virsh", "domstate", "deaf")).trim(), "running");
  assert.equal(await qemuOf("linux"), guests);
  await eventually(async () => (await node.run("virsh", "domstate", "deaf")).trim() === "shut off", {
    what: "the guest to be stopped, as was asked for",
    timeoutMs: 120_000,
    intervalMs: 500,
  });
  await eventually(async () => (await operations()).every(({ state }) => state === "STATE_SUCCEEDED"), {
    what: "the operation's end",
    timeoutMs: 30_000,
    intervalMs: 500,
  });
});

test("journald holds its logs, a JSON document a line", async () => {
  const lines = (await node.run("journalctl", "-u", "socle-agent", "-o", "cat", "--no-pager")).split("\n");
  const records = lines
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as { msg: string });
  assert.ok(records.filter(({ msg }) => msg === "ready").length >= 3);
});

test("it is removed and purged: the guests run on, and whoever does it is told so", async () => {
  const guests = await qemuOf("linux");
  const removed = await node.run("apt-get", "remove", "-y", "-q", "socle");
  assert.match(removed, /guests of this host run on/);
  assert.equal((await node.try("systemctl", "is-active", "socle-agent")).stdout.trim(), "inactive");
  const purged = await node.run("apt-get", "purge", "-y", "-q", "socle");
  assert.match(purged, /left as they are/);
  assert.match(purged, /audit log stays/);
  assert.notEqual((await node.try("test", "-e", "/etc/socle")).code, 0);
  assert.deepEqual((await node.run("ls", "/var/lib/socle")).trim(), "audit");
  assert.equal(await qemuOf("linux"), guests);
  assert.equal((await node.run("virsh", "domstate", "linux")).trim(), "running");
});
