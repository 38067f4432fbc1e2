import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { leaveNodes } from "../support/left-nodes.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { socleCommand } from "../support/programs.ts";
import { bootSector, linux } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";
import { BackupReader } from "./backups-stage.ts";
import { disk, MIB, MemoryStage, write } from "./memory-stage.ts";

const run = promisify(execFile);

/** In place of the guest's agent, which a frozen guest could not be asked about. */
const noting =
  `while :; do read -r line || { usleep 50000; continue; }; case "$line" in ` +
  `*guest-sync*) echo "$line" | sed 's/.*"id":\\([0-9]*\\).*/{"return": \\1}/';; ` +
  `*fsfreeze-freeze*) echo freeze >>/run/noted; echo '{"return": 2}';; ` +
  `*fsfreeze-thaw*) echo thaw >>/run/noted; echo '{"return": 2}';; *) echo '{"return": {}}';; esac; done`;

suite("snapshots with memory", { skip: libvirtdUnavailable(), timeout: 1_200_000 }, () => {
  let stage: MemoryStage;

  before(async () => {
    stage = await MemoryStage.start();
  });
  after(() => stage.stop());

  test("a revert lets the guest run on with the memory and disks of the snapshot, as often as wanted", async () => {
    const { host, directory, begin, change, keep, revert, create, memories, volumes, inGuest, words } = stage;
    const vmId = await create(linux("web", { disks: [disk] }));
    await inGuest("web", write("first"));
    const pid = await host.virsh("domid", "web");
    const downtime = await host.virsh("migrate-getmaxdowntime", "web");
    const plan = await begin("CreateSnapshot", { vm: "web", name: "one", memory: true, validateOnly: true });
    assert.equal(plan.result["memory_bytes_at_most"], String(320 * MIB));
    const env = { ...process.env, SOCLE_SOCKET: host.agent.socketPath };
    const socle = async (...args: string[]): Promise<string> =>
      (await run(process.execPath, [...socleCommand, "vm", "snapshot", ...args], { env })).stdout;
    await socle("create", "web", "one", "--memory");
    const [file = "", ...others] = await memories(vmId);
    assert.deepEqual(others, []);
    const { size, mode } = await stat(join(directory, file));
    assert.deepEqual([mode & 0o777, file.startsWith(`socle-${vmId}.`)], [0o600, true]);
    assert.match(await socle("show", "web", "one"), /memory +\d+\.\d MiB/);
    const shown = await host.client.ask(host.client.contract.snapshots.GetSnapshot, {
      vm: "web",
      snapshot: "one",
    });
    assert.equal(shown.memoryBytes, size);
    assert.deepEqual(
      [
        await host.virsh("domid", "web"),
        await host.virsh("domstate", "web"),
        await host.virsh("snapshot-list", "web"),
      ],
      [pid, "running", ""],
    );
    assert.equal(await host.virsh("migrate-getmaxdowntime", "web"), downtime);

    for (const word of ["second", "third"]) {
      await inGuest("web", write(word));
      assert.deepEqual(await words("web"), [word, word]);
      const { result } = await revert("web", "one");
      assert.deepEqual([result["memory"], result["restarted"]], ["restored", "true"]);
      assert.deepEqual(await words("web"), ["first", "first"]);
      assert.equal(await host.virsh("domstate", "web", "--reason"), "running (restored)");
    }
    // Also of a VM that is off.
    await inGuest("web", write("fourth"));
    await host.virsh("destroy", "web");
    await revert("web", "one");
    assert.deepEqual(await words("web"), ["first", "first"]);

    // A second one, and the first is merged below it.
    await inGuest("web", write("fifth"));
    await keep("web", "two");
    await change("DeleteSnapshot", { vm: "web", snapshot: "one" });
    assert.equal((await memories(vmId)).length, 1);
    assert.ok(!(await memories(vmId)).includes(file));
    await inGuest("web", write("sixth"));
    await revert("web", "two");
    assert.deepEqual(await words("web"), ["fifth", "fifth"]);
    const { result } = await revert("web", "two", { discardMemory: true });
    assert.equal(result["memory"], undefined);
    assert.match(await inGuest("web", "cat /run/word || echo booted"), /booted/);
    await change("DeleteSnapshot", { vm: "web", snapshot: "two" });
    assert.deepEqual([await memories(vmId), (await volumes(vmId)).length], [[], 1]);
    await host.remove("web");
  });

  test("block nodes that a libvirt which died left in QEMU do not stop it", async () => {
    const { host, keep, revert, create, inGuest, words, memories } = stage;
    const vmId = await create(linux("left", { disks: [disk] }));
    await inGuest("left", write("first"));
    await leaveNodes(host.libvirtd.uri, "left", 2);
    await keep("left", "one");
    assert.equal((await memories(vmId)).length, 1);
    assert.equal(await host.virsh("domstate", "left"), "running");
    await inGuest("left", write("second"));
    await revert("left", "one");
    assert.deepEqual(await words("left"), ["first", "first"]);
    await host.remove("left");
  });

  test("a guest that changes its memory without pause is kept whole, and runs on", async () => {
    const { host, directory, keep, revert, create, memories, inGuest, words } = stage;
    const vmId = await create(linux("busy", { disks: [disk], memoryBytes: 192 * MIB }));
    await inGuest("busy", write("first"));
    await inGuest("busy", "mkdir -p /run/b; mount -t tmpfs -o size=96m none /run/b");
    await inGuest(
      "busy",
      "( while :; do dd if=/dev/urandom of=/run/b/x bs=1M count=64 conv=notrunc 2>/dev/null; done & ) ",
    );
    const downtime = await host.virsh("migrate-getmaxdowntime", "busy");
    await keep("busy", "one");
    assert.equal(await host.virsh("domstate", "busy"), "running");
    assert.equal(await host.virsh("migrate-getmaxdowntime", "busy"), downtime);
    const [file = ""] = await memories(vmId);
    assert.ok((await stat(join(directory, file))).size <= 2 * 192 * MIB + 64 * MIB);
    await inGuest("busy", write("second"));
    await revert("busy", "one");
    assert.deepEqual(await words("busy"), ["first", "first"]);
    await host.remove("busy");
    assert.deepEqual(await memories(vmId), []);
  });

  test("a VM that changed since is not reverted with memory, before its guest is stopped", async () => {
    const { host, directory, end, reasonOf, keep, revert, create, memories } = stage;
    const vmId = await create(linux("other", { disks: [disk] }));
    await keep("other", "one");
    const stop = { requestId: randomUUID(), vm: "other", force: true, gracefulTimeout: { seconds: 0 } };
    const update = async (vmSpec: object, paths: string[]): Promise<void> => {
      await host.end(
        await host.client.ask(host.client.contract.vms.StopVm, { ...stop, requestId: randomUUID() }),
      );
      const request = { requestId: randomUUID(), vm: "other", spec: vmSpec, updateMask: { paths } };
      const { error } = await host.end(await host.client.ask(host.client.contract.vms.UpdateVm, request));
      assert.equal(error, null, JSON.stringify(error));
      const start = { requestId: randomUUID(), vm: "other" };
      await host.end(await host.client.ask(host.client.contract.vms.StartVm, start));
    };
    for (const [spec, path, part] of [
      [{ vcpus: 2 }, "vcpus", "vcpu"],
      [{ vcpus: 1, memoryBytes: 160 * MIB }, "memory_bytes", "memory"],
    ] as const) {
      await update(spec, part === "memory" ? ["vcpus", path] : [path]);
      const pid = await host.virsh("domid", "other");
      const ended = await end("RevertSnapshot", { vm: "other", snapshot: "one", force: true });
      const failure = host.failureOf(ended);
      assert.equal(failure?.reason, "SNAPSHOT_VM_DIFFERS", failure?.message);
      assert.match(failure.message, new RegExp(`\\b${part}\\b`));
      assert.doesNotMatch(failure.message, /socle-memory-/);
      assert.deepEqual(
        [await host.virsh("domid", "other"), await host.virsh("domstate", "other")],
        [pid, "running"],
      );
    }
    await revert("other", "one", { discardMemory: true });
    assert.equal(await host.virsh("domstate", "other", "--reason"), "running (booted)");
    // Memory that is lost or damaged is reported before anything is touched.
    await update({ memoryBytes: 128 * MIB }, ["memory_bytes"]);
    const [file = ""] = await memories(vmId);
    const pid = await host.virsh("domid", "other");
    await rename(join(directory, file), join(directory, `${file}.away`));
    assert.equal(
      await reasonOf("RevertSnapshot", { vm: "other", snapshot: "one", force: true }),
      "SNAPSHOT_MEMORY_LOST",
    );
    assert.equal(await host.virsh("domid", "other"), pid);
    await rename(join(directory, `${file}.away`), join(directory, file));
    await revert("other", "one");
    assert.equal(await host.virsh("domstate", "other", "--reason"), "running (restored)");
    await host.remove("other");
    assert.deepEqual(await memories(vmId), []);
  });

  test("a guest that was frozen at the moment of the snapshot is thawed after a revert", async () => {
    const { host, keep, revert, create, inGuest } = stage;
    const kernelBoot = linux("cold").kernelBoot ?? {};
    const initrd = { pool: "images", volume: "initrd-ga" };
    await create(linux("cold", { guestAgent: true, disks: [disk], kernelBoot: { ...kernelBoot, initrd } }));
    const hasAgent = async (): Promise<boolean> => (await inGuest("cold", "pidof qemu-ga || true")) !== "";
    await eventually(hasAgent, { what: "the guest's agent", timeoutMs: 120_000 });
    const port = await inGuest("cold", "ls /dev/vport*");
    await inGuest("cold", "kill $(pidof qemu-ga); while pidof qemu-ga; do usleep 50000; done");
    await inGuest("cold", `touch /run/noted; ( (${noting}) <>${port} >&0 2>/dev/null & )`);
    const { guests } = host.client.contract;
    const thaw = () => host.client.ask(guests.ThawFilesystems, { vm: "cold" }, { timeoutMs: 60_000 });
    await eventually(() => thaw().then(() => true), { what: "the other agent", timeoutMs: 120_000 });
    await inGuest("cold", ": >/run/noted");
    const freeze = { vm: "cold", timeout: { seconds: 300 } };
    await host.client.ask(guests.FreezeFilesystems, freeze, { timeoutMs: 60_000 });
    const noted = async (): Promise<string[]> => (await inGuest("cold", "cat /run/noted")).split(/\s+/);
    await keep("cold", "frozen");
    assert.deepEqual(await noted(), ["freeze"]);
    await thaw();
    await inGuest("cold", "echo later >>/run/noted");
    await revert("cold", "frozen");
    const isThawed = async (): Promise<boolean> => (await noted()).at(-1) === "thaw";
    await eventually(isThawed, { what: "the guest to be thawed", timeoutMs: 120_000 });
    assert.deepEqual((await noted()).slice(0, 2), ["freeze", "thaw"]);
    const isUnmarked = async (): Promise<boolean> =>
      !(await host.virsh("dumpxml", "cold")).includes("urn:socle:freeze:1");
    await eventually(isUnmarked, { what: "the mark of the freeze to be gone" });
    await host.remove("cold");
  });

  test("a guest goes on with the CPU, the vCPUs and the balloon that libvirt wrote for it", async () => {
    const { host, keep, revert, create, memories } = stage;
    const boot = bootSector("custom").disks ?? [];
    const kvm = existsSync("/dev/kvm") ? [["on-kvm", { accelerator: "ACCELERATOR_KVM" }] as const] : [];
    for (const [name, more] of [["on-tcg", { maxVcpus: 4, vcpus: 2 }] as const, ...kvm]) {
      const cpu = { cpuMode: "CPU_MODE_CUSTOM", cpuModel: "kvm64" } as const;
      const vmId = await create(bootSector(name, { disks: [...boot, disk], ...cpu, ...more }));
      await keep(name, "one");
      // As of a host-model, whose saved CPU is the one that libvirt chose; and as of a balloon that was changed.
      const definition = await host.virsh("dumpxml", name, "--inactive", "--security-info");
      const edited = definition
        .replace(/<cpu mode='custom'[^]*?<\/cpu>/, "<cpu mode='host-model'/>")
        .replace(/(<currentMemory[^>]*>)\d+/, "$116384");
      assert.ok(edited.includes("host-model") && edited !== definition);
      const file = join(host.libvirtd.directory, "edited.xml");
      await writeFile(file, edited);
      await host.virsh("define", file);
      await revert(name, "one");
      assert.equal(await host.virsh("domstate", name, "--reason"), "running (restored)");
      const live = await host.virsh("dumpxml", name);
      assert.match(live, /<model fallback='forbid'>kvm64</);
      assert.match(live, /<currentMemory unit='KiB'>32768</);
      assert.match(await host.virsh("dumpxml", name, "--inactive"), /host-model/);
      await host.remove(name);
      assert.deepEqual(await memories(vmId), []);
    }
  });

  test("backups go on over snapshots with memory, and begin anew after a revert", async () => {
    const { host, begin, refusalOf, keep, revert, create, memories, volumes, inGuest, words } = stage;
    const vmId = await create(linux("saved", { disks: [disk] }));
    const reader = new BackupReader(host);
    await inGuest("saved", write("first"));
    const first = await reader.begin("saved");
    assert.equal(
      await refusalOf(begin("CreateSnapshot", { vm: "saved", name: "no", memory: true })),
      "BACKUP_OPEN",
    );
    await reader.finish("saved", first.backupId);
    await keep("saved", "one");
    await inGuest("saved", write("second"));
    const second = await reader.begin("saved", { baseBackup: first.backupId });
    assert.equal(second.disks[0]?.incremental, true, second.disks[0]?.fullReason);
    const { bytes } = await reader.read("saved", second.backupId, "data", Buffer.alloc(8 * MIB));
    assert.equal(bytes.toString("latin1", 0, 16).trim(), "second");
    await reader.finish("saved", second.backupId);
    await revert("saved", "one");
    assert.deepEqual(await words("saved"), ["first", "first"]);
    // What differs from the newest backup is not known any more.
    const third = await reader.begin("saved");
    assert.equal(third.disks[0]?.incremental, false);
    const all = await reader.read("saved", third.backupId, "data", Buffer.alloc(8 * MIB));
    assert.equal(all.bytes.toString("latin1", 0, 16).trim(), "first");
    await reader.finish("saved", third.backupId);
    assert.deepEqual(await reader.checkpoints("saved"), [third.backupId]);
    // The receipt names the memory, which is not overwritten.
    const { vms } = host.client.contract;
    const request = { requestId: randomUUID(), vm: "saved", force: true, eraseDisks: true };
    const { result, error } = await host.end(await host.client.ask(vms.DeleteVm, request), 120_000);
    assert.equal(error, null, JSON.stringify(error));
    const receipt = JSON.parse(result["receipt"] ?? "{}") as Record<string, unknown>;
    assert.equal(receipt["snapshot_memory"], "removed");
    assert.deepEqual([await memories(vmId), await volumes(vmId)], [[], []]);
  });
});
