import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { watch } from "node:fs";
import { mkdir, readFile, rename, rm, rmdir, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { MortalHost } from "../support/mortal-host.ts";
import { qemuOf } from "../support/qemu-of.ts";
import { bootSector, linux } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";
import { disk, MemoryStage, write } from "./memory-stage.ts";

suite("snapshots with memory and faults", { skip: libvirtdUnavailable(), timeout: 1_200_000 }, () => {
  let stage: MemoryStage;

  before(async () => {
    stage = await MemoryStage.start();
  });
  after(() => stage.stop());

  test("the agent's deaths at the boundaries of its journal leave a whole snapshot with memory, or none", async () => {
    const { host, death, begin, change, keep, create, memories, volumes } = stage;
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
    const { host, directory, begin, change, keep, revert, create, memories, volumes, inGuest, words } = stage;
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

  test("a restore that libvirt refuses leaves the VM with its present disks, and can be repeated", async () => {
    const { host, directory, end, reasonOf, keep, revert, create, memories, volumes } = stage;
    const vmId = await create(
      bootSector("refused", { disks: [...(bootSector("refused").disks ?? []), disk] }),
    );
    await keep("refused", "one");
    const [file = ""] = await memories(vmId);
    const path = join(directory, file);
    const whole = await readFile(path);
    // The header stays, and the memory is cut off.
    await truncate(path, 100_000);
    const disks = (): Promise<string> => host.virsh("domblklist", "refused");
    const present = await disks();
    const away = await reasonOf("RevertSnapshot", { vm: "refused", snapshot: "one", force: true });
    assert.equal(away, "SNAPSHOT_MEMORY_LOST", "seen before the guest is stopped");
    assert.equal(await host.virsh("domstate", "refused"), "running");
    await writeFile(path, Buffer.concat([whole.subarray(0, 100_000), Buffer.alloc(whole.length - 100_000)]));
    const failure = host.failureOf(
      await end("RevertSnapshot", { vm: "refused", snapshot: "one", force: true }),
    );
    assert.equal(failure?.reason, "SNAPSHOT_MEMORY_NOT_RESTORED", failure?.message);
    assert.match(failure.message, /keeps its present disks: .*--discard-memory/);
    assert.equal(await host.virsh("domstate", "refused", "--reason"), "running (booted)");
    assert.deepEqual([await disks(), (await volumes(vmId)).length], [present, 2]);
    await writeFile(path, whole);
    await revert("refused", "one");
    assert.equal(await host.virsh("domstate", "refused", "--reason"), "running (restored)");
    await host.remove("refused");
  });

  test("a snapshot and a VM are deleted once the directory of the memory is the agent's own", async () => {
    const { host, directory, end, change, reasonOf, keep, create, memories, volumes } = stage;
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
    // As its mount point is without its file system: its files are not known to be gone.
    await rename(directory, away);
    for (const isThere of [false, true]) {
      if (isThere) await mkdir(directory, { mode: 0o755 });
      const reason = host.failureOf(await host.remove("late"))?.reason;
      assert.equal(reason, "SNAPSHOT_MEMORY_LEFT");
    }
    await rmdir(directory);
    await rename(away, directory);
    assert.equal((await memories(vmId)).length, 1);
    const { state, error } = await host.remove("late");
    assert.equal(state, "STATE_SUCCEEDED", JSON.stringify(error));
    assert.deepEqual([await volumes(vmId), await memories(vmId)], [[], []]);
  });
});
