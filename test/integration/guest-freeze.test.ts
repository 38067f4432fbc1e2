import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, suite, test } from "node:test";
import { silentLog } from "../../agent/kernel/log.ts";
import { toSocleError } from "../../agent/kernel/errors.ts";
import { Libvirt } from "../../agent/libvirt/index.ts";
import { GuestShell } from "../support/guest-shell.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { linux, SocleHost } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";
import { BackupReader } from "./backups-stage.ts";

const MIB = 2 ** 20;
/** In place of the guest's agent: notes what it is asked for, since a guest that is frozen cannot be asked. */
const noting =
  `while :; do read -r line || { usleep 50000; continue; }; case "$line" in ` +
  `*guest-sync*) echo "$line" | sed 's/.*"id":\\([0-9]*\\).*/{"return": \\1}/';; ` +
  `*fsfreeze-freeze*) echo freeze >>/run/noted; echo '{"return": 2}';; ` +
  `*fsfreeze-thaw*) echo thaw >>/run/noted; echo '{"return": 2}';; *) echo '{"return": {}}';; esac; done`;

suite("frozen guests over a real libvirtd", { skip: libvirtdUnavailable(), timeout: 900_000 }, () => {
  let host: SocleHost;
  let libvirt: Libvirt;
  let shell: GuestShell;

  before(async () => {
    host = await SocleHost.start();
    libvirt = await Libvirt.connect({ uri: host.libvirtd.uri, log: silentLog });
    const kernelBoot = linux("web").kernelBoot ?? {};
    const initrd = { pool: "images", volume: "initrd-ga" };
    const disks = [{ name: "data", newVolume: { pool: "images", capacityBytes: 8 * MIB } }];
    const spec = linux("web", { guestAgent: true, disks, kernelBoot: { ...kernelBoot, initrd } });
    assert.equal((await host.create(spec)).error, null);
    shell = await GuestShell.join(libvirt, "web");
    await eventually(async () => (await shell.run("pidof qemu-ga")).trim() !== "", {
      what: "the guest's agent",
      timeoutMs: 120_000,
    });
    const port = (await shell.run("ls /dev/vport*")).trim();
    await shell.run("kill $(pidof qemu-ga); while pidof qemu-ga; do usleep 50000; done");
    await shell.run(`touch /run/noted; ( (${noting}) <>${port} >&0 2>/dev/null & )`);
    await eventually(() => thaw().then(() => true), { what: "the other agent", timeoutMs: 120_000 });
    await shell.run("echo >/run/noted; : >/run/noted");
  });
  after(async () => {
    await shell.close();
    await libvirt.close();
    await host.stop();
  });

  const guests = () => host.client.contract.guests;
  const freeze = (seconds: number) =>
    host.client.ask(guests().FreezeFilesystems, { vm: "web", timeout: { seconds } }, { timeoutMs: 60_000 });
  const thaw = () => host.client.ask(guests().ThawFilesystems, { vm: "web" }, { timeoutMs: 60_000 });
  const snapshot = async (name: string) => {
    const request = { requestId: randomUUID(), vm: "web", name, quiesce: true };
    return await host.end(
      await host.client.ask(host.client.contract.snapshots.CreateSnapshot, request),
      120_000,
    );
  };
  const noted = async (): Promise<string[]> =>
    (await shell.run("cat /run/noted"))
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== "");
  const forget = () => shell.run(": >/run/noted");
  /** Whether the run of the guest has the deadline of a freeze, over virsh. */
  const isMarked = async (): Promise<boolean> =>
    /urn:socle:freeze:1/.test(await host.virsh("dumpxml", "web"));
  const untilUnmarked = () => eventually(async () => !(await isMarked()), { what: "the mark to be gone" });
  const untilThawed = (what: string) =>
    eventually(async () => (await noted()).at(-1) === "thaw", { what, timeoutMs: 120_000 });

  test("a frozen guest is thawed on request, and is not frozen twice", async () => {
    await forget();
    assert.equal((await freeze(60)).filesystems, 2);
    assert.ok(await isMarked());
    assert.doesNotMatch(await host.virsh("dumpxml", "web", "--inactive"), /urn:socle:freeze:1/);
    await assert.rejects(freeze(60), (thrown) => toSocleError(thrown).reason === "GUEST_FROZEN");
    assert.equal((await snapshot("refused")).state, "STATE_FAILED");
    assert.deepEqual(await noted(), ["freeze"]);
    assert.equal((await thaw()).filesystems, 2);
    assert.deepEqual(await noted(), ["freeze", "thaw"]);
    assert.ok(!(await isMarked()));
    await assert.rejects(freeze(0), (thrown) => toSocleError(thrown).reason === "REQUEST_INVALID");
    await assert.rejects(freeze(301), (thrown) => toSocleError(thrown).reason === "REQUEST_INVALID");
  });

  test("a guest is thawed at its deadline, and at the next agent's start", async () => {
    await forget();
    await freeze(1);
    await untilThawed("the thaw at the deadline");
    await untilUnmarked();
    await forget();
    await freeze(300);
    await host.agent.kill();
    assert.deepEqual(await noted(), ["freeze"]);
    await host.agent.startAgain();
    await host.reconnect();
    await untilThawed("the thaw by the next agent");
    await untilUnmarked();
  });

  test("a quiesced snapshot freezes the guest only while its disks are switched", async () => {
    await host.untilListed();
    await forget();
    const { error, result } = await snapshot("quiet");
    assert.equal(error, null);
    assert.equal(result["quiesced"], "true");
    assert.deepEqual(await noted(), ["freeze", "thaw"]);
    const request = { vm: "web", snapshot: "quiet" };
    const found = await host.client.ask(host.client.contract.snapshots.GetSnapshot, request);
    assert.deepEqual([found.quiesced, found.current], [true, true]);
  });

  test("a quiesced backup freezes the guest only while it begins, and one that is refused leaves nothing", async () => {
    const reader = new BackupReader(host);
    await forget();
    const { backupId, quiesced } = await reader.begin("web", { quiesce: true });
    assert.equal(quiesced, true);
    assert.deepEqual(await noted(), ["freeze", "thaw"]);
    assert.ok(!(await isMarked()));
    await reader.finish("web", backupId);
    assert.equal((await reader.list("web"))[0]?.quiesced, true);

    const files = await host.volumes();
    await freeze(60);
    const refused = await host.end(await reader.beginning("web", { quiesce: true }), 120_000);
    assert.equal(host.failureOf(refused)?.reason, "GUEST_FROZEN");
    await thaw();
    assert.deepEqual(await host.volumes(), files);
    assert.equal(await reader.job("web"), "none");
    assert.deepEqual(await reader.checkpoints("web"), [backupId]);
  });
});
