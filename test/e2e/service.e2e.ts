// The package's lifecycle on a compute node, step by step: see scripts/e2e.
import assert from "node:assert/strict";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { eventually } from "../support/wait.ts";
import { ComputeNode } from "./compute-node.ts";
import { InstalledAgent, qemuOf } from "./installed-agent.ts";

const repository = join(import.meta.dirname, "../..");
const cache = join(repository, ".cache");
const [first, second] = ["socle_0.1.0-1_all.deb", "socle_0.1.0-2_all.deb"];
let node: ComputeNode;
let agent: InstalledAgent;
let shared = "";

before(async () => {
  shared = await mkdtemp(join(tmpdir(), "socle-e2e-"));
  for (const deb of [first, second]) await copyFile(join(cache, "e2e", deb), join(shared, deb));
  for (const file of ["vmlinuz", "initrd", "bootsector.img"])
    await copyFile(join(cache, "guest", file), join(shared, file));
  node = await ComputeNode.boot(join(cache, "e2e/node"), shared);
  agent = new InstalledAgent(node);
});
after(async () => {
  await node.stop();
  await rm(shared, { recursive: true, force: true });
});

const operations = async (): Promise<readonly { operationId: string; state: string }[]> => {
  const list = JSON.parse(await node.run("socle", "--json", "operations", "ls")) as {
    operations: { operationId: string; state: string }[];
  };
  return list.operations;
};

const scraped = (address: string): Promise<string> =>
  node
    .run(
      "node",
      "-e",
      `fetch("http://${address}:9177/healthz", { signal: AbortSignal.timeout(5000) }).then((r) => console.log(r.status), (e) => console.log(e.name))`,
    )
    .then((text) => text.trim());
const readerState = async (reader: string): Promise<string | undefined> => {
  const script = `fetch("http://127.0.0.1:9177/metrics?collect[]=host_readers").then((r) => r.text()).then(console.log)`;
  const { stdout } = await node.try("node", "-e", script);
  return new RegExp(`socle_reader_state\\{reader="${reader}",state="([a-z]+)"\\} 1`).exec(stdout)?.[1];
};
/** The hardware helper's reply to this user. */
const ask = (user: string, question: string): Promise<string> => {
  const script = `require("net").connect("/run/socle-hardware.sock").on("error", (e) => console.log(e.code)).on("data", (d) => process.stdout.write(d)).write(${JSON.stringify(`${question}\n`)})`;
  return node.run("runuser", "-u", user, "--", "node", "-e", script);
};
const helperIsMissed = (health: string): boolean =>
  /^KernelFault +unknown +degraded .*the hardware helper/m.test(health);
const [privateAddress, publicAddress] = ["10.99.0.1", "203.0.113.9"];

test("apt installs the package: the service is READY, as its own user, in its sandbox", async () => {
  await node.run("apt-get", "install", "-y", "-q", `/mnt/${first}`);
  await agent.ready();
  assert.equal(await agent.property("Type"), "notify-reload");
  assert.match(await agent.property("StatusText"), /0 VMs/);
  assert.equal((await node.run("ps", "-o", "user=", "-p", String(await agent.mainPid()))).trim(), "socle");
  assert.match(await node.run("grep", "CapEff", `/proc/${await agent.mainPid()}/status`), /0{16}$/m);
  const exposure = await node.run("systemd-analyze", "security", "--no-pager", "socle-agent");
  const level = Number(/exposure level for socle-agent.service: ([\d.]+)/.exec(exposure)?.[1]);
  assert.ok(level <= 1.2, `exposure ${level}`);
  assert.equal((await node.try("socle", "doctor")).code, 0);
  for (const page of ["1/socle.1", "5/socle-agent.yaml.5", "7/socle-metrics.7", "8/socle-agent.8"])
    await node.run("test", "-s", `/usr/share/man/man${page}.gz`);
});

test("the hardware helper reads what the agent may not, with four capabilities and without the host's files", async () => {
  await eventually(async () => (await readerState("kernelLog")) === "read", {
    what: "the helper to read the kernel's log",
    timeoutMs: 60_000,
  });
  const pid = (await node.run("systemctl", "show", "-P", "MainPID", "socle-hardware")).trim();
  const status = await node.run("cat", `/proc/${pid}/status`);
  // CAP_DAC_OVERRIDE, CAP_SYS_RAWIO, CAP_SYS_ADMIN, CAP_SYSLOG.
  const four = [1n, 17n, 21n, 34n].reduce((set, bit) => set | (1n << bit), 0n).toString(16);
  for (const set of ["CapEff", "CapPrm", "CapBnd", "CapAmb"])
    assert.match(status, new RegExp(`^${set}:\\t0*${four}$`, "m"));
  assert.match(status, /^NoNewPrivs:\t1$/m);
  assert.match(status, /^Seccomp:\t2$/m);
  assert.doesNotMatch(status, /^Uid:\t0\b/m);
  for (const path of ["/etc/shadow", "/etc/passwd", "/var/lib/socle", "/var/lib/libvirt", "/boot"])
    assert.notEqual((await node.try("test", "-e", `/proc/${pid}/root${path}`)).code, 0, path);
  const seen = (
    await node.run("ls", `/proc/${pid}/root/etc`, `/proc/${pid}/root/var/lib/smartmontools`)
  ).trim();
  assert.doesNotMatch(seen, /shadow|passwd|socle/);
  // smartctl finds its libraries there, may send commands, and reports that there is no such disk.
  assert.match(await ask("socle", "smart sdz"), /smartctl.*No such (device|file)/s);
  assert.match(await ask("socle", "bmc power"), /"code":"ENOENT"/);
  // A device in its place that only root may open is opened and recognized as no BMC.
  await node.run("mknod", "-m", "600", "/dev/ipmi0", "c", "10", "229");
  await node.run("systemctl", "restart", "socle-hardware.service");
  assert.match(await ask("socle", "bmc power"), /"reason":"CHILD_FAILED","message":"ipmitool exited/);
  await node.run("systemctl", "restart", "socle-agent");
  await eventually(async () => (await readerState("bmc")) === "failed", {
    what: "the agent to read the device",
    timeoutMs: 60_000,
  });
  await node.run("rm", "/dev/ipmi0");
  assert.match(await ask("socle", "smart ../etc/shadow"), /QUESTION_UNKNOWN/);
  assert.match(await ask("nobody", "kernel-log"), /EACCES/);
  await node.run("systemctl", "disable", "--now", "socle-hardware.socket");
  await eventually(async () => (await readerState("kernelLog")) === "failed", {
    what: "the kernel's log to have no reader",
    timeoutMs: 60_000,
  });
  await eventually(async () => /NotWatched.*kmsg/.test(await node.run("socle", "health")), {
    what: "the kernel's log to be reported as not watched",
    timeoutMs: 60_000,
  });
  await node.run("systemctl", "enable", "--now", "socle-hardware.socket");
  await eventually(async () => (await readerState("kernelLog")) === "read", {
    what: "the helper to be used again",
    timeoutMs: 60_000,
  });
});

test("a helper that dies at each request is reported, and the agent retries until it answers", async () => {
  const dropIn = "/run/systemd/system/socle-hardware.service.d/broken.conf";
  await node.run("mkdir", "-p", dirname(dropIn));
  await node.run("sh", "-c", `printf '[Service]\\nExecStart=\\nExecStart=/bin/false\\n' >${dropIn}`);
  await node.run("systemctl", "daemon-reload");
  await node.run("systemctl", "stop", "socle-hardware.service");
  // More failures than systemd's default limit for a service or a socket.
  const many = `for (let n = 0; n < 30; n += 1) require("net").connect("/run/socle-hardware.sock").on("error", () => {}).write("energy\\n")`;
  await node.run("runuser", "-u", "socle", "--", "node", "-e", many);
  for (let n = 0; n < 10; n += 1) assert.equal((await ask("socle", "energy")).trim(), "ECONNRESET");
  await eventually(async () => helperIsMissed(await node.run("socle", "health")), {
    what: "the missing helper to be reported",
    timeoutMs: 120_000,
  });
  assert.equal((await node.run("systemctl", "is-active", "socle-hardware.socket")).trim(), "active");
  await node.run("rm", dropIn);
  await node.run("systemctl", "daemon-reload");
  await eventually(async () => (await readerState("kernelLog")) === "read", {
    what: "the helper to be used again",
    timeoutMs: 120_000,
  });
});

test("the agent reaches this host and private networks, and others once a drop-in allows them", async () => {
  for (const address of [privateAddress, publicAddress])
    await node.run("ip", "address", "add", `${address}/32`, "dev", "lo");
  await node.run(
    "sed",
    "-i",
    "s/^\\(\\s*\\)listen: 127.0.0.1:9177/\\1listen: 0.0.0.0:9177/",
    "/etc/socle/agent.yaml",
  );
  await node.run("systemctl", "restart", "socle-agent");
  await agent.ready();
  assert.equal(await scraped(privateAddress), "200");
  assert.match(await scraped(publicAddress), /Timeout/);
  const dropIn = "/etc/systemd/system/socle-agent.service.d/networks.conf";
  await node.run("mkdir", "-p", dirname(dropIn));
  await node.run("sh", "-c", `printf '[Service]\\nIPAddressAllow=${publicAddress}\\n' >${dropIn}`);
  await node.run("systemctl", "daemon-reload");
  await node.run("systemctl", "restart", "socle-agent");
  await agent.ready();
  assert.equal(await scraped(publicAddress), "200");
});

test("secrets come from systemd's credential store; a crash leaves no core, and a signal no debugger", async () => {
  const store = "/etc/credstore.encrypted";
  await node.run("mkdir", "-p", store);
  const encrypt = `printf canary-of-the-bmc | systemd-creds encrypt --with-key=host --name=socle-bmc-password - ${store}/socle-bmc-password`;
  await node.run("sh", "-c", encrypt);
  await node.run("systemctl", "restart", "socle-agent");
  await agent.ready();
  const given = "/run/credentials/socle-agent.service/socle-bmc-password";
  assert.equal(await node.run("runuser", "-u", "socle", "--", "cat", given), "canary-of-the-bmc");
  assert.notEqual((await node.try("runuser", "-u", "nobody", "--", "cat", given)).code, 0);

  const pid = await agent.mainPid();
  assert.match(await node.run("cat", `/proc/${pid}/limits`), /Max core file size\s+0\s+0\s/);
  assert.match(await node.run("cat", `/proc/${pid}/coredump_filter`), /^0+\s*$/);
  await node.run("kill", "-USR1", String(pid));
  assert.equal(await agent.answers(), true);
  assert.equal(await agent.mainPid(), pid);
  assert.doesNotMatch(await node.run("ss", "-Hltn"), /:9229\b/);
  const pattern = (await node.run("cat", "/proc/sys/kernel/core_pattern")).trim();
  await node.run("kill", "-SEGV", String(pid));
  await agent.replaced(pid, "the agent to restart");
  assert.match(await node.run("journalctl", "-u", "socle-agent", "--no-pager"), /status=11\/SEGV/, pattern);
  const core = ["/", "/var/lib/socle", "/var/lib/systemd/coredump", "/tmp"].join(" ");
  assert.equal(
    await node.run("sh", "-c", `find ${core} -maxdepth 1 -name 'core*' -type f 2>/dev/null || true`),
    "",
  );
});

test("a credential that cannot be decrypted prevents the start as long as it exists, and doctor reports it", async () => {
  const broken = "/etc/credstore.encrypted/socle-enrollment-token";
  await node.run("sh", "-c", `head -c 200 /dev/urandom | base64 >${broken}`);
  assert.notEqual((await node.try("systemctl", "restart", "socle-agent")).code, 0);
  await eventually(
    async () => /^fail +unit +.*credential/m.test((await node.try("socle", "doctor")).stdout),
    { what: "doctor to report the credential", timeoutMs: 60_000 },
  );
  await node.run("rm", broken);
  // systemd retries the start by itself.
  await agent.ready("the agent to start");
});

test("doctor reports a drop-in that gives the agent capabilities, and the upgrade renames it", async () => {
  const dropIn = "/etc/systemd/system/socle-agent.service.d/hardware.conf";
  const four = "CAP_SYSLOG CAP_DAC_OVERRIDE CAP_SYS_ADMIN CAP_SYS_RAWIO";
  const lines = [
    ...["[Service]", `AmbientCapabilities=${four}`, `CapabilityBoundingSet=${four}`, "PrivateUsers=no"],
    ...["ProtectKernelLogs=no", "DeviceAllow=/dev/kmsg r", "DeviceAllow=/dev/ipmi0 rw"],
    ...["DeviceAllow=char-nvme r", "DeviceAllow=block-sd rw"],
  ];
  await node.run("sh", "-c", `printf '%s\\n' "$@" >${dropIn}`, "sh", ...lines);
  await node.run("systemctl", "daemon-reload");
  await node.run("systemctl", "restart", "socle-agent");
  await agent.ready();
  assert.match(await node.run("socle", "doctor"), /^warn +unit .*CapEff 0*400220002\b/m);
});

test("a guest boots through the agent, as libvirt and the guest's console confirm", async () => {
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
  // virsh needs a terminal for it, which script provides.
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
    ...["--disk", "new:default::bootsector.img"],
  );
  assert.equal((await node.run("virsh", "domstate", "deaf")).trim(), "running");
});

test("the watchdog restarts an agent whose event loop hangs; no operation is lost", async () => {
  const guests = await qemuOf(node, "linux");
  const before = { pid: await agent.mainPid(), operations: await operations() };
  await node.run("kill", "-STOP", String(before.pid));
  await agent.replaced(before.pid, "the watchdog to restart the agent");
  assert.ok(Number(await agent.property("NRestarts")) >= 1);
  assert.match(await node.run("journalctl", "-u", "socle-agent", "--no-pager"), /[Ww]atchdog timeout/);
  assert.equal(await qemuOf(node, "linux"), guests);
  const ended = new Map((await operations()).map(({ operationId, state }) => [operationId, state]));
  assert.equal(before.operations.length, 2);
  for (const { operationId, state } of before.operations) assert.equal(ended.get(operationId), state);
});

test("during an upgrade guests run on and a running operation ends", async () => {
  const guests = await qemuOf(node, "linux");
  const old = await agent.mainPid();
  // This guest ignores the power button, so its stop takes the whole grace time.
  await node.run("socle", "vm", "stop", "deaf", "--grace", "45s", "--force", "--no-wait");
  await node.run("apt-get", "install", "-y", "-q", `/mnt/${second}`);
  assert.match(await node.run("dpkg-query", "-W", "socle"), /0\.1\.0-2/);
  await agent.replaced(old, "the new agent");
  assert.match(await node.run("grep", "CapEff", `/proc/${await agent.mainPid()}/status`), /0{16}$/m);
  assert.match(await node.run("socle", "doctor"), /^ok +unit .*without capabilities/m);
  assert.equal((await node.run("virsh", "domstate", "deaf")).trim(), "running");
  assert.equal(await qemuOf(node, "linux"), guests);
  await eventually(async () => (await node.run("virsh", "domstate", "deaf")).trim() === "shut off", {
    what: "the guest to stop on request",
    timeoutMs: 120_000,
    intervalMs: 500,
  });
  await eventually(async () => (await operations()).every(({ state }) => state === "STATE_SUCCEEDED"), {
    what: "the operation's end",
    timeoutMs: 30_000,
    intervalMs: 500,
  });
});

test("journald holds the agent's log as one JSON document per line", async () => {
  const lines = (await node.run("journalctl", "-u", "socle-agent", "-o", "cat", "--no-pager")).split("\n");
  const records = lines
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as { msg: string });
  assert.ok(records.filter(({ msg }) => msg === "ready").length >= 3);
});

test("removal and purge leave the guests running and print so", async () => {
  const guests = await qemuOf(node, "linux");
  const removed = await node.run("apt-get", "remove", "-y", "-q", "socle");
  assert.match(removed, /guests of this host run on/);
  assert.equal((await node.try("systemctl", "is-active", "socle-agent")).stdout.trim(), "inactive");
  await node.run("sh", "-c", "head -c 32 /dev/urandom >/etc/socle/volume.key");
  const purged = await node.run("apt-get", "purge", "-y", "-q", "socle");
  assert.match(purged, /remain unchanged in libvirt/);
  assert.match(purged, /audit log remains/);
  assert.match(purged, /encrypted disks need the volume key/);
  assert.equal((await node.run("ls", "/etc/socle")).trim(), "volume.key");
  assert.deepEqual((await node.run("ls", "/var/lib/socle")).trim(), "audit");
  assert.equal(await qemuOf(node, "linux"), guests);
  assert.equal((await node.run("virsh", "domstate", "linux")).trim(), "running");
});
