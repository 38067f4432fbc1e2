// The short form of service.e2e.ts, for every run of scripts/test: the package under a real systemd, in a container that
// boots from this machine's own root. scripts/e2e runs the long form on a separate Debian.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { guestFilesIn, linuxCommandLine } from "../support/guest.ts";
import { eventually } from "../support/wait.ts";
import { ComputeNode, nodeUnavailable, thisMachine } from "./compute-node.ts";
import { InstalledAgent, qemuOf } from "./installed-agent.ts";

const run = promisify(execFile);
const images = "/var/lib/libvirt/images";

suite("the package under systemd", { skip: nodeUnavailable() }, () => {
  let node: ComputeNode;
  let agent: InstalledAgent;
  let shared = "";

  before(async () => {
    shared = await mkdtemp(join(tmpdir(), "socle-e2e-"));
    await Promise.all([
      run(join(import.meta.dirname, "../../scripts/package"), ["--output", shared]),
      guestFilesIn(shared),
    ]);
    node = await ComputeNode.boot(thisMachine, shared);
    agent = new InstalledAgent(node);
  });
  after(async () => {
    // libvirt-guests would wait for a guest that ignores the power button.
    await node.try("virsh", "destroy", "guest");
    await node.stop();
    await rm(shared, { recursive: true, force: true });
  });

  const pidOf = async (unit: string): Promise<string> =>
    (await node.run("systemctl", "show", "-P", "MainPID", unit)).trim();

  test("the installed service becomes ready in its sandbox and answers socle status", async () => {
    // The machine may have Node from elsewhere than Debian, which the dependency on nodejs does not accept.
    await node.run("sh", "-c", "dpkg --install --force-depends /mnt/socle_*.deb");
    await agent.ready();
    assert.equal(await agent.property("Type"), "notify-reload");
    assert.match(await agent.property("StatusText"), /0 VMs/);
    assert.match(await node.run("socle", "status"), /\S/);
    const status = await node.run("cat", `/proc/${await agent.mainPid()}/status`);
    assert.match(status, /^CapEff:\t0{16}$/m);
    assert.match(status, /^NoNewPrivs:\t1$/m);
    assert.doesNotMatch(status, /^Uid:\t0\b/m);
  });

  test("systemd restarts a killed agent, and the guest and libvirtd run on", async () => {
    await node.run("mkdir", "-p", images);
    await node.run("cp", "/mnt/bootsector.img", images);
    await node.run("virsh", "pool-define-as", "default", "dir", "--target", images);
    await node.run("virsh", "pool-start", "default");
    const size = ["--vcpus", "1", "--memory", "32MiB", "--accelerator", "tcg"];
    await node.run(
      "socle",
      ...["vm", "create", "--name", "guest", ...size, "--disk", "new:default::bootsector.img"],
      ...["--disk", "new:default:8MiB"],
    );
    // QEMU makes the socket as its user, and the agent opens it as its own, in its sandbox.
    await node.run("socle", "vm", "backup", "create", "guest", "--disk", "disk1", "--to", "/root/backups");
    await node.run("socle", "vm", "backup", "verify", "/root/backups");
    const users = await node.run("ps", "-C", "qemu-system-x86_64,qemu-system-x86", "-o", "user:20=");
    assert.match(users, /^libvirt-qemu\s*$/);
    assert.equal((await node.run("virsh", "domstate", "guest")).trim(), "running");
    const [guest, libvirtd, killed] = [
      await qemuOf(node, "guest"),
      await pidOf("libvirtd"),
      await agent.mainPid(),
    ];

    await node.run("kill", "-KILL", String(killed));
    await agent.replaced(killed, "systemd to restart the agent");
    assert.equal(await agent.property("NRestarts"), "1");
    assert.match(await node.run("socle", "vm", "ls"), /\bguest\b.*running/i);
    assert.equal(await qemuOf(node, "guest"), guest);
    assert.equal(await pidOf("libvirtd"), libvirtd);

    await node.run("systemctl", "stop", "socle-agent");
    assert.equal(await agent.property("ActiveState"), "inactive");
    assert.equal(await agent.property("Result"), "success");
    assert.equal(await qemuOf(node, "guest"), guest);
    assert.equal((await node.run("virsh", "domstate", "guest")).trim(), "running");
    assert.equal(await pidOf("libvirtd"), libvirtd);
  });

  test("a reboot stops the guests in order, and starts those with autostart again", async () => {
    await node.run("systemctl", "start", "socle-agent");
    await agent.ready();
    await node.run("virsh", "destroy", "guest");
    await node.run("cp", "/mnt/vmlinuz", "/mnt/initrd", images);
    await node.run("virsh", "pool-autostart", "default");
    await node.run("virsh", "pool-refresh", "default");
    const boot = ["--kernel", "default/vmlinuz", "--initrd", "default/initrd", "--cmdline", linuxCommandLine];
    const size = ["--vcpus", "1", "--memory", "128MiB", "--accelerator", "tcg"];
    for (const [name, ...more] of [
      ["first", "--autostart", "--start-priority", "10"],
      ["last", "--autostart"],
      ["once"],
    ] as const)
      await node.run("socle", "vm", "create", "--name", name, ...size, ...boot, ...more);
    // A restart of the unit stops no guest.
    await node.run("systemctl", "restart", "socle-guests");
    assert.equal((await node.run("virsh", "domstate", "once")).trim(), "running");
    await node.reboot();
    await agent.ready();
    const running = async (): Promise<string[]> =>
      (await node.run("virsh", "list", "--name"))
        .split("\n")
        .filter((name) => name !== "")
        .toSorted();
    /** The names of the VMs of operations that succeeded, oldest first. */
    const done = async (kind: string, caller: string): Promise<string[]> => {
      const { operations } = JSON.parse(await node.run("socle", "--json", "operations", "ls")) as {
        operations: { vmId: string; kind: string; caller: string; state: string }[];
      };
      const ids = operations
        .filter((each) => each.kind === kind && each.caller === caller && each.state === "STATE_SUCCEEDED")
        .map(({ vmId }) => vmId);
      const names = await Promise.all(ids.map((id) => node.run("virsh", "domname", id)));
      return names.map((name) => name.trim()).toReversed();
    };
    await eventually(async () => (await done("START_VM", "agent")).length === 2, {
      what: "the VMs to start with the host",
      timeoutMs: 120_000,
    });
    assert.deepEqual(await done("START_VM", "agent"), ["first", "last"]);
    assert.deepEqual(await running(), ["first", "last"]);
    const stops = await done("STOP_VM", "unix:operator");
    assert.deepEqual(stops.toSorted(), ["first", "last", "once"]);
    assert.equal(stops.at(-1), "first");
    // The guests shut down by themselves.
    const ends = await node.run("sh", "-c", "grep -h reason= /var/log/libvirt/qemu/*.log");
    assert.equal([...ends.matchAll(/reason=shutdown/g)].length, 3, ends);
  });
});
