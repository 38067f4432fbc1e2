// Disks of new VMs that are filled over RestoreDisk, also by callers and agents that end in the middle.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { MortalHost } from "../support/mortal-host.ts";
import type { SocleHost } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";
import { MIB, oneDisk, restoreDisk } from "./restore-stage.ts";

const run = promisify(execFile);

suite("restored disks", { skip: libvirtdUnavailable(), timeout: 1_500_000 }, () => {
  let mortal: MortalHost;
  let host: SocleHost;
  let directory: string;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "socle-restore-"));
    mortal = await MortalHost.start();
    ({ host } = mortal);
  });
  after(async () => {
    await mortal.stop();
    await rm(directory, { recursive: true, force: true });
  });

  const of = (name: string): string => join(directory, name);
  /** A qcow2 image with random data. */
  const image = async (name: string, size = "16M"): Promise<Buffer> => {
    const raw = of(`${name}.raw`);
    await run("truncate", ["-s", size, raw]);
    await run("dd", ["if=/dev/urandom", `of=${raw}`, "bs=1M", "seek=2", "count=5", "conv=notrunc"]);
    await run("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", raw, of(`${name}.qcow2`)]);
    return await readFile(of(`${name}.qcow2`));
  };
  const create = async (...given: Parameters<typeof oneDisk>): Promise<string> => {
    const { error, vmId } = await host.create(oneDisk(...given), { leaveStopped: true });
    assert.equal(error, null);
    return vmId;
  };
  const path = (vmId: string): string => join(host.libvirtd.imagesDirectory, `socle-${vmId}-root.qcow2`);
  const start = async (vm: string): Promise<Operation__Output> =>
    await host.end(await host.client.ask(host.client.contract.vms.StartVm, { requestId: randomUUID(), vm }));
  const remove = async (vm: string): Promise<void> => {
    assert.equal((await host.remove(vm)).error, null);
    assert.deepEqual(
      (await host.volumes()).filter((name) => name.startsWith("socle-")),
      [],
    );
  };
  const reason = (operation: Operation__Output): string | undefined => host.failureOf(operation)?.reason;

  test("a disk has the bytes that were sent, and a VM that has started keeps its disk", async () => {
    const bytes = await image("good");
    const vmId = await create("good");
    const end = await restoreDisk(host, "good", bytes);
    assert.equal(reason(end), undefined);
    assert.ok((await readFile(path(vmId))).equals(bytes));
    await run("qemu-img", ["compare", "-f", "raw", "-F", "qcow2", of("good.raw"), path(vmId)]);
    // The last one counts.
    assert.equal(reason(await restoreDisk(host, "good", bytes)), undefined);
    assert.equal(reason(await start("good")), undefined);
    assert.match(await host.virsh("domstate", "good"), /running/);
    await assert.rejects(restoreDisk(host, "good", bytes), { reason: "VM_STATE_CONFLICT" });
    await host.virsh("destroy", "good");
    await host.virsh("start", "good");
    await host.virsh("destroy", "good");
    await mortal.restart();
    await assert.rejects(restoreDisk(host, "good", bytes), { reason: "VM_HAS_STARTED" });
    await remove("good");
  });

  test("a VM with a disk that is not whole starts only after a restoration that is", async () => {
    const bytes = await image("half");
    await create("half");
    const wrong = await restoreDisk(host, "half", bytes, { sha256: "0".repeat(64) });
    assert.equal(reason(wrong), "RESTORE_DIGEST_MISMATCH");
    const { vms, snapshots } = host.client.contract;
    const to = () => ({ requestId: randomUUID(), vm: "half" });
    const incomplete = { reason: "VM_RESTORE_INCOMPLETE" };
    await assert.rejects(start("half"), incomplete);
    await assert.rejects(host.client.ask(snapshots.CreateSnapshot, { ...to(), name: "one" }), incomplete);
    const larger = { ...to(), disk: "root", capacityBytes: 32 * MIB };
    await assert.rejects(host.client.ask(vms.ResizeDisk, larger), incomplete);
    await mortal.restart();
    await assert.rejects(start("half"), incomplete);
    assert.equal(reason(await restoreDisk(host, "half", bytes)), undefined);
    assert.equal(reason(await start("half")), undefined);
    await remove("half");
  });

  test("a VM of several disks starts once all of them are whole", async () => {
    const bytes = await image("both");
    const disks = ["root", "data"].map((name) => ({ ...oneDisk("both").disks?.[0], name }));
    assert.equal((await host.create({ ...oneDisk("both"), disks }, { leaveStopped: true })).error, null);
    await assert.rejects(restoreDisk(host, "both", bytes, { moreDisks: ["none"] }), {
      reason: "DISK_NOT_FOUND",
    });
    assert.equal(reason(await restoreDisk(host, "both", bytes, { moreDisks: ["data"] })), undefined);
    await assert.rejects(start("both"), { reason: "VM_RESTORE_INCOMPLETE", message: /disk data / });
    assert.equal(reason(await restoreDisk(host, "both", bytes, { disk: "data" })), undefined);
    assert.equal(reason(await start("both")), undefined);
    await remove("both");
  });

  test("a file that refers to another one, or does not fit the disk, is refused before it is in the pool", async () => {
    const vmId = await create("unfit");
    await run("qemu-img", [
      "create",
      "-f",
      "qcow2",
      "-b",
      "/etc/passwd",
      "-F",
      "raw",
      of("over.qcow2"),
      "16M",
    ]);
    const over = await readFile(of("over.qcow2"));
    assert.equal(reason(await restoreDisk(host, "unfit", over)), "IMAGE_UNSAFE");
    await image("large", "32M");
    const large = await readFile(of("large.qcow2"));
    assert.equal(reason(await restoreDisk(host, "unfit", large)), "RESTORE_SIZE_INVALID");
    const raw = Buffer.alloc(16 * MIB, 7);
    assert.equal(reason(await restoreDisk(host, "unfit", raw)), "IMAGE_FORMAT_MISMATCH");
    await assert.rejects(restoreDisk(host, "unfit", raw, { sizeBytes: 64 * MIB }), {
      reason: "RESTORE_SIZE_INVALID",
    });
    const found = await readFile(path(vmId)).catch(() => Buffer.alloc(0));
    assert.ok(found.every((byte) => byte === 0));
    await assert.rejects(start("unfit"), { reason: "VM_RESTORE_INCOMPLETE" });
    await remove("unfit");
    // Another client has made an overlay of the disk.
    const baseId = await create("base");
    const overlay = join(host.libvirtd.imagesDirectory, "overlay.qcow2");
    await run("qemu-img", ["create", "-f", "qcow2", "-b", path(baseId), "-F", "qcow2", overlay]);
    assert.equal(reason(await restoreDisk(host, "base", large)), "VOLUME_IN_USE");
    await rm(overlay);
    await remove("base");
  });

  test("a caller that is gone, and an agent that is killed, leave a VM that can be restored again or deleted", async () => {
    const bytes = await image("cut");
    await create("cut");
    const gone = await restoreDisk(host, "cut", bytes, {
      pauseAt: { bytes: 2 * MIB, act: () => Promise.resolve() },
    });
    assert.equal(reason(await host.end(gone)), "UPLOAD_INCOMPLETE");
    await assert.rejects(start("cut"), { reason: "VM_RESTORE_INCOMPLETE" });
    const requestId = randomUUID();
    const killed = await restoreDisk(host, "cut", bytes, {
      requestId,
      pauseAt: {
        bytes: 3 * MIB,
        act: async ({ operationId }) => {
          const { GetOperation } = host.client.contract.operations;
          const doneBytes = async (): Promise<number> =>
            (await host.client.ask(GetOperation, { operationId })).transfer?.doneBytes ?? 0;
          await eventually(async () => (await doneBytes()) > 0, { what: "the agent to read the bytes" });
          await mortal.restart();
        },
      },
    });
    assert.equal(reason(await host.end(killed)), "INTERRUPTED");
    // The same request is the same operation, which does nothing more.
    assert.equal(reason(await restoreDisk(host, "cut", bytes, { requestId })), "INTERRUPTED");
    await assert.rejects(start("cut"), { reason: "VM_RESTORE_INCOMPLETE" });
    assert.equal(reason(await restoreDisk(host, "cut", bytes)), undefined);
    assert.equal(reason(await start("cut")), undefined);
    await remove("cut");
  });

  test("an agent that dies at any record of its journal leaves a disk that is whole, or a VM that does not start", async () => {
    const bytes = await image("dies");
    let deaths = 0;
    // A record has three boundaries, so that these are before, in and after records in turn.
    for (let boundary = 1; ; boundary += 5) {
      const name = `dies-${boundary}`;
      const vmId = await create(name);
      let end: Operation__Output | undefined;
      const died = await mortal.diesIn(boundary, async () => (end = await restoreDisk(host, name, bytes)));
      if (!died) {
        assert.equal(end && reason(end), undefined);
        await remove(name);
        break;
      }
      deaths += 1;
      const started = await start(name).catch((thrown: unknown) => thrown as { reason: string });
      if ("reason" in started) {
        assert.equal(started.reason, "VM_RESTORE_INCOMPLETE");
        assert.equal(reason(await restoreDisk(host, name, bytes)), undefined);
        assert.ok((await readFile(path(vmId))).equals(bytes));
      }
      await remove(name);
    }
    assert.ok(deaths >= 3, `${deaths} deaths`);
  });
});
