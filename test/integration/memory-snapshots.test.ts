import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { watch } from "node:fs";
import { mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import { silentLog } from "../../agent/kernel/log.ts";
import { Libvirt } from "../../agent/libvirt/index.ts";
import { AgentDeath } from "../support/agent-death.ts";
import { GuestShell } from "../support/guest-shell.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { MortalHost } from "../support/mortal-host.ts";
import { socleCommand } from "../support/programs.ts";
import { qemuOf } from "../support/qemu-of.ts";
import { bootSector, linux, SocleHost } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";

const run = promisify(execFile);
const MIB = 2 ** 20;

/** In place of the guest's agent, which a frozen guest could not be asked about. */
const noting =
  `while :; do read -r line || { usleep 50000; continue; }; case "$line" in ` +
  `*guest-sync*) echo "$line" | sed 's/.*"id":\\([0-9]*\\).*/{"return": \\1}/';; ` +
  `*fsfreeze-freeze*) echo freeze >>/run/noted; echo '{"return": 2}';; ` +
  `*fsfreeze-thaw*) echo thaw >>/run/noted; echo '{"return": 2}';; *) echo '{"return": {}}';; esac; done`;

suite("snapshots with memory", { skip: libvirtdUnavailable(), timeout: 1_200_000 }, () => {
  let host: SocleHost;
  let libvirt: Libvirt;
  let directory: string;
  let death: AgentDeath;
  /** As of another host that shares the directory. */
  const foreign = `socle-${randomUUID()}.0a1b2c3d.memory`;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "socle-memory-"));
    for (const file of [foreign, `${foreign}.part`]) await writeFile(join(directory, file), "theirs");
    death = await AgentDeath.make();
    host = await SocleHost.start({ ...death.agentOptions, config: { vm: { dumpDirectory: directory } } });
    libvirt = await Libvirt.connect({ uri: host.libvirtd.uri, log: silentLog });
  });
  after(async () => {
    await libvirt.close();
    await host.stop();
    await death.stop();
    await rm(directory, { recursive: true, force: true });
  });

  type Method = "CreateSnapshot" | "DeleteSnapshot" | "RevertSnapshot";
  const begin = (method: Method, request: object, requestId = randomUUID()): Promise<Operation__Output> =>
    host.client.ask(host.client.contract.snapshots[method], { requestId, ...request });
  const end = async (method: Method, request: object): Promise<Operation__Output> =>
    await host.end(await begin(method, request), 180_000);
  const change = async (method: Method, request: object): Promise<Operation__Output> => {
    const ended = await end(method, request);
    assert.equal(ended.error, null, `${JSON.stringify(ended.error)} ${JSON.stringify(ended.steps)}`);
    return ended;
  };
  const reasonOf = async (method: Method, request: object): Promise<string | undefined> =>
    host.failureOf(await end(method, request))?.reason;
  const keep = (vm: string, name: string) => change("CreateSnapshot", { vm, name, memory: true });
  const revert = (vm: string, snapshot: string, more: object = {}) =>
    change("RevertSnapshot", { vm, snapshot, force: true, ...more });
  const disk = { name: "data", newVolume: { pool: "images", capacityBytes: 8 * MIB } };
  const create = async (spec: ReturnType<typeof linux>): Promise<string> => {
    const { error, vmId } = await host.create(spec);
    assert.equal(error, null, JSON.stringify(error));
    return vmId;
  };
  /** The files of memory of a VM. */
  const memories = async (vmId: string): Promise<string[]> => {
    const files = await readdir(directory);
    assert.ok(files.includes(foreign) && files.includes(`${foreign}.part`), "those of another host stay");
    return files.filter((file) => file.startsWith(`socle-${vmId}.`)).sort();
  };
  const volumes = async (vmId: string): Promise<string[]> =>
    (await readdir(host.libvirtd.imagesDirectory)).filter((file) => file.startsWith(`socle-${vmId}`)).sort();
  const inGuest = async (vm: string, command: string): Promise<string> => {
    const shell = await GuestShell.join(libvirt, vm);
    try {
      return (await shell.run(command)).trim();
    } finally {
      await shell.close();
    }
  };
  const write = (text: string): string =>
    `echo ${text} >/run/word; printf '%-16s' ${text} | dd of=/dev/vda bs=16 conv=notrunc,fsync 2>/dev/null; sync`;
  const read =
    "cat /run/word; echo 1 >/proc/sys/vm/drop_caches; dd if=/dev/vda bs=16 count=1 2>/dev/null; echo";
  const words = async (vm: string): Promise<string[]> =>
    (await inGuest(vm, read)).split(/\s+/).filter((word) => word !== "");

  test("a revert lets the guest run on with the memory and disks of the snapshot, as often as wanted", async () => {
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

  test("a guest that changes its memory without pause is kept whole, and runs on", async () => {
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

  test("the agent's deaths at the boundaries of its journal leave a whole snapshot with memory, or none", async () => {
    const mortal = MortalHost.over(host, death);
    const vmId = await create(bootSector("dies", { disks: [...(bootSector("dies").disks ?? []), disk] }));
    const pid = await host.virsh("domid", "dies");
    const ends = new Set<string>();
    for (let boundary = 1; ; boundary += 5) {
      const ask = { vm: "dies", name: "one", memory: true };
      const { died, end: created } = await mortal.cutOff(boundary, (id) => begin("CreateSnapshot", ask, id));
      const reason = host.failureOf(created)?.reason;
      ends.add(reason ?? "whole");
      assert.deepEqual(
        [await host.virsh("domid", "dies"), await host.virsh("domstate", "dies")],
        [pid, "running"],
      );
      if (reason === undefined) {
        assert.equal((await memories(vmId)).length, 1, `boundary ${boundary}`);
        assert.equal((await volumes(vmId)).length, 2);
        await change("DeleteSnapshot", { vm: "dies", snapshot: "one" });
      } else assert.equal(reason, "SNAPSHOT_NOT_TAKEN", JSON.stringify(created.error));
      assert.deepEqual([await memories(vmId), (await volumes(vmId)).length], [[], 1], `boundary ${boundary}`);
      if (!died) break;
    }
    assert.ok(ends.has("whole"), [...ends].join());
    await keep("dies", "two");
    const reverted = new Set<string>();
    for (let boundary = 1; ; boundary += 6) {
      const ask = { vm: "dies", snapshot: "two", force: true };
      const { died, end: back } = await mortal.cutOff(boundary, (id) => begin("RevertSnapshot", ask, id));
      const failure = host.failureOf(back);
      reverted.add(failure?.reason ?? "restored");
      if (failure === undefined)
        assert.match(await host.virsh("domstate", "dies", "--reason"), /running \(restored\)/);
      else assert.match(failure.reason, /^(INTERRUPTED|VM_NOT_STARTED)$/, failure.message);
      assert.equal((await memories(vmId)).length, 1);
      assert.equal((await volumes(vmId)).length, 2, `boundary ${boundary}`);
      if (!died) break;
    }
    assert.ok(reverted.has("restored"), [...reverted].join());
    await host.remove("dies");
    assert.deepEqual([await memories(vmId), await volumes(vmId)], [[], []]);
  });

  test("a write that hangs is ended by libvirtd's death, and by a forced stop, and nothing of it is left", async () => {
    const vmId = await create(linux("hangs", { disks: [disk] }));
    await inGuest("hangs", write("first"));
    const pid = await qemuOf(vmId);
    const part = async (): Promise<string | undefined> =>
      (await memories(vmId)).find((file) => file.endsWith(".part"));
    /** libvirt marks an image once all is written; it writes the mark of a part with the first MiB. */
    const isWhole = async (file: string): Promise<boolean> =>
      (await readFile(join(directory, file))).toString("latin1", 0, 16) === "LibvirtQemudSave";
    /** Begins a snapshot whose QEMU stands still once libvirt has made the file. */
    const beginHung = async (name: string): Promise<Operation__Output> => {
      for (let attempt = 1; attempt <= 10; attempt += 1) {
        const watcher = watch(directory, () => process.kill(pid, "SIGSTOP"));
        const begun = await begin("CreateSnapshot", { vm: "hangs", name, memory: true });
        const hasBegun = async (): Promise<boolean> =>
          (await part()) !== undefined || (await memories(vmId)).length > 1;
        await eventually(hasBegun, { what: "libvirt to write", timeoutMs: 60_000 }).finally(() =>
          watcher.close(),
        );
        process.kill(pid, "SIGSTOP");
        const file = await part();
        if (file !== undefined && !(await isWhole(file))) return begun;
        // All was written before QEMU stood still.
        process.kill(pid, "SIGCONT");
        await host.end(begun, 120_000);
        await change("DeleteSnapshot", { vm: "hangs", snapshot: name });
      }
      throw new Error("QEMU writes too fast to be stopped");
    };
    await keep("hangs", "whole");
    const [whole = ""] = await memories(vmId);
    const kept = await volumes(vmId);
    try {
      const lost = await beginHung("lost");
      await host.libvirtd.kill("SIGKILL");
      await host.libvirtd.startAgain();
      process.kill(pid, "SIGCONT");
      const failed = await host.end(lost, 180_000);
      assert.match(host.failureOf(failed)?.reason ?? "", /^(EFFECT_NOT_OBSERVED|SNAPSHOT_NOT_TAKEN)$/);
      await host.untilListed();
      assert.deepEqual([await memories(vmId), await volumes(vmId)], [[whole], kept]);
      assert.equal(await qemuOf(vmId), pid);
      assert.equal(await host.virsh("domstate", "hangs"), "running");
      await inGuest("hangs", write("second"));

      const begun = await beginHung("cut");
      const stop = { requestId: randomUUID(), vm: "hangs", force: true, gracefulTimeout: { seconds: 0 } };
      const stopping = await host.client.ask(host.client.contract.vms.StopVm, stop);
      const stopped = await host.end(stopping, 120_000);
      assert.equal(stopped.state, "STATE_SUCCEEDED", JSON.stringify(stopped.error));
      const cut = await host.end(begun, 120_000);
      assert.equal(host.failureOf(cut)?.reason, "SNAPSHOT_CUT_SHORT", JSON.stringify(cut.error));
    } finally {
      if ((await qemuOf(vmId).catch(() => undefined)) === pid) process.kill(pid, "SIGCONT");
    }
    assert.deepEqual([await memories(vmId), await volumes(vmId)], [[whole], kept]);
    assert.match(await host.virsh("domstate", "hangs"), /^shut off/);
    await revert("hangs", "whole");
    assert.deepEqual(await words("hangs"), ["first", "first"]);
    await host.remove("hangs");
    assert.deepEqual(await memories(vmId), []);
  });

  test("a snapshot and a VM are deleted although the directory is gone, and wait while it cannot be used", async () => {
    const spec = bootSector("late", { disks: [...(bootSector("late").disks ?? []), disk] });
    const vmId = await create(spec);
    for (const name of ["one", "two", "three"]) await keep("late", name);
    const away = `${directory}.away`;
    await rename(directory, away);
    await writeFile(directory, "no directory");
    assert.equal(await reasonOf("DeleteSnapshot", { vm: "late", snapshot: "three" }), "SNAPSHOT_MEMORY_LEFT");
    const failed = host.failureOf(await end("CreateSnapshot", { vm: "late", name: "four", memory: true }));
    assert.equal(failed?.reason, "SNAPSHOT_MEMORY_UNREACHABLE");
    assert.doesNotMatch(failed.message, /socle-memory-/);
    const kept = await volumes(vmId);
    const removed = await host.remove("late");
    assert.equal(host.failureOf(removed)?.reason, "SNAPSHOT_MEMORY_LEFT", JSON.stringify(removed.error));
    assert.deepEqual(await volumes(vmId), kept);
    await rm(directory);
    await rename(away, directory);
    assert.equal((await memories(vmId)).length, 3);
    // The next change deletes what is left too.
    await change("DeleteSnapshot", { vm: "late", snapshot: "two" });
    assert.equal((await memories(vmId)).length, 1);
    // Without the directory there is no file.
    await rename(directory, away);
    const { state, error } = await host.remove("late");
    assert.equal(state, "STATE_SUCCEEDED", JSON.stringify(error));
    assert.deepEqual(await volumes(vmId), []);
    await rename(away, directory);
    for (const file of await memories(vmId)) await rm(join(directory, file));
  });
});
