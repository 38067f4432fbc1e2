// Deaths of the agent at the boundaries of its journal, and of libvirtd in a copy or its switch, while disks move and media
// change.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { MortalHost } from "../support/mortal-host.ts";
import { Monitor } from "../support/monitor.ts";
import { bootSector, type SocleHost } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";

const MIB = 2 ** 20;
const run = promisify(execFile);

suite("interrupted moves of disks", { skip: libvirtdUnavailable(), timeout: 1_500_000 }, () => {
  let mortal: MortalHost;
  let host: SocleHost;
  let other: string;

  before(async () => {
    mortal = await MortalHost.start();
    ({ host } = mortal);
    other = join(host.libvirtd.directory, "other");
    await mkdir(other, { mode: 0o755 });
    await host.virsh("pool-create-as", "other", "dir", "--target", other);
    await writeFile(join(host.libvirtd.imagesDirectory, "one.iso"), Buffer.alloc(64 * 1024, 1));
    await host.virsh("pool-refresh", "images");
    await host.untilListed();
  });
  after(() => mortal.stop());

  const create = async (name: string, leaveStopped: boolean, bytes = 16 * MIB): Promise<string> => {
    const disks = [
      ...(bootSector(name).disks ?? []),
      { name: "data", newVolume: { pool: "images", capacityBytes: bytes } },
      { name: "cd", cdrom: {} },
    ];
    const { error, vmId } = await host.create(bootSector(name, { disks }), { leaveStopped });
    assert.equal(error, null);
    return vmId;
  };
  const beginMove = (vm: string, pool: string, requestId = randomUUID()): Promise<Operation__Output> =>
    host.client.ask(host.client.contract.vms.MoveDisk, { requestId, vm, disk: "data", pool });
  const beginInsert = (vm: string, file: string | undefined, requestId = randomUUID()) =>
    host.client.ask(host.client.contract.vms.ChangeMedia, {
      ...{ requestId, vm, disk: "cd" },
      ...(file === undefined ? {} : { volume: { pool: "images", volume: file } }),
    });
  const filesIn = async (directory: string, vmId: string): Promise<string[]> =>
    (await readdir(directory)).filter((name) => name.startsWith(`socle-${vmId}`));
  const pathOf = async (vm: string, device = "vdb", ...as: string[]): Promise<string> =>
    new RegExp(`${device}\\s+(\\S+)`).exec(await host.virsh("domblklist", vm, ...as))?.[1] ??
    assert.fail("no disk");
  const poolInSpec = async (vm: string): Promise<string | undefined> => {
    const { spec } = await host.client.ask(host.client.contract.vms.GetVm, { vm });
    return spec?.disks.find(({ name }) => name === "data")?.newVolume?.pool;
  };
  const digest = async (vm: string): Promise<string> => {
    const raw = join(host.agent.directory, "digest.raw");
    await run("qemu-img", ["convert", "-U", "-O", "raw", await pathOf(vm), raw]);
    return createHash("sha256")
      .update(await readFile(raw))
      .digest("hex");
  };

  /** The disk is whole in this pool, and in no other. */
  const isIn = async (vm: string, vmId: string, pool: "images" | "other"): Promise<void> => {
    const [there, gone] =
      pool === "other" ? [other, host.libvirtd.imagesDirectory] : [host.libvirtd.imagesDirectory, other];
    const name = `socle-${vmId}-data.qcow2`;
    assert.deepEqual([await filesIn(there, vmId), await filesIn(gone, vmId)], [[name], []]);
    assert.equal(await pathOf(vm), join(there, name));
    assert.equal(await pathOf(vm, "vdb", "--inactive"), join(there, name));
    assert.equal(await poolInSpec(vm), pool);
  };

  for (const [vm, leaveStopped, first, stride] of [
    ["off", true, 1, 8],
    ["runs", false, 3, 8],
  ] as const)
    test(`the disk of a VM that ${vm === "off" ? "is off" : "runs"} survives the agent's death at any boundary of a move`, async () => {
      const vmId = await create(vm, true);
      await run("qemu-io", ["-f", "qcow2", "-c", "write -P 0x61 0 8M", await pathOf(vm)]);
      const bytes = await digest(vm);
      if (!leaveStopped) {
        const start = host.client.ask(host.client.contract.vms.StartVm, { requestId: randomUUID(), vm });
        assert.equal((await host.end(await start)).error, null);
      }
      const domain = await host.virsh("domid", vm);
      let deaths = 0;
      let pool: "images" | "other" = "images";
      for (let boundary: number = first; ; boundary += stride) {
        pool = pool === "images" ? "other" : "images";
        const { died } = await mortal.survives(boundary, (requestId) => beginMove(vm, pool, requestId));
        await isIn(vm, vmId, pool);
        assert.equal(await digest(vm), bytes);
        assert.equal(await host.virsh("domid", vm), domain, "no other run of the guest");
        if (!died) break;
        deaths += 1;
      }
      assert.ok(deaths >= 2, `${deaths} deaths`);
      await host.remove(vm);
      assert.deepEqual(
        [await filesIn(other, vmId), await filesIn(host.libvirtd.imagesDirectory, vmId)],
        [[], []],
      );
    });

  test("a medium is in the guest, the definition and the spec after the agent's death at any boundary", async () => {
    const vm = "media";
    await create(vm, false);
    let deaths = 0;
    let file: string | undefined;
    for (let boundary = 2; ; boundary += 5) {
      file = file === undefined ? "one.iso" : undefined;
      const medium = file;
      const { died } = await mortal.survives(boundary, (requestId) => beginInsert(vm, medium, requestId));
      const path = medium === undefined ? "-" : join(host.libvirtd.imagesDirectory, medium);
      assert.deepEqual(
        [await pathOf(vm, "sd[a-z]"), await pathOf(vm, "sd[a-z]", "--inactive")],
        [path, path],
      );
      const { spec } = await host.client.ask(host.client.contract.vms.GetVm, { vm });
      const stored = spec?.disks.find(({ name }) => name === "cd")?.cdrom?.volume?.volume;
      assert.equal(stored, medium);
      if (!died) break;
      deaths += 1;
    }
    assert.ok(deaths >= 2, `${deaths} deaths`);
    await host.remove(vm);
  });

  test("a move goes on after libvirtd was killed in the copy", async () => {
    const vm = "copied";
    const vmId = await create(vm, true, 512 * MIB);
    await run("qemu-io", ["-f", "qcow2", "-c", "write -P 0x62 0 400M", await pathOf(vm)]);
    const bytes = await digest(vm);
    const start = host.client.ask(host.client.contract.vms.StartVm, { requestId: randomUUID(), vm });
    assert.equal((await host.end(await start)).error, null);
    const operation = await beginMove(vm, "other");
    await eventually(async () => (await host.virsh("dumpxml", vm)).includes("<mirror "), {
      what: "the copy to begin",
      intervalMs: 5,
    });
    await host.libvirtd.kill("SIGKILL");
    await host.libvirtd.startAgain();
    const { error, steps } = await host.end(operation, 240_000);
    assert.equal(error, null, JSON.stringify(steps));
    await isIn(vm, vmId, "other");
    assert.equal(await digest(vm), bytes);
    await host.remove(vm);
  });

  const atSwitch = (
    vm: string,
    act: () => Promise<unknown>,
    then: (operation: Operation__Output) => Promise<void>,
  ): Promise<Operation__Output> => mortal.atSwitch(() => beginMove(vm, "other"), act, then);

  test("a copy that ends as libvirtd is asked for the switch fails the move, and the guest can be changed", async () => {
    const vm = "refused";
    const vmId = await create(vm, false);
    const old = await pathOf(vm);
    await atSwitch(
      vm,
      () => host.virsh("blockjob", vm, "vdb", "--abort"),
      async (operation) => {
        const end = await host.end(operation, 120_000);
        assert.equal(host.failureOf(end)?.reason, "MOVE_FAILED", JSON.stringify(end));
      },
    );
    await mortal.restart();
    assert.deepEqual([await pathOf(vm), await filesIn(other, vmId)], [old, []]);
    assert.equal((await host.end(await beginMove(vm, "other"), 120_000)).error, null);
    await isIn(vm, vmId, "other");
    await host.remove(vm);
  });

  test("a guest that wrote to the copy before libvirtd could record the switch keeps those bytes", async () => {
    const vm = "in-doubt";
    const vmId = await create(vm, true);
    const old = await pathOf(vm);
    const copy = join(other, `socle-${vmId}-data.qcow2`);
    const has = (path: string, pattern: string) =>
      run("qemu-io", ["-r", "-f", "qcow2", "-c", `read -P ${pattern} 0 1M`, path]).then(({ stdout }) =>
        assert.doesNotMatch(stdout, /failed/, `${path} has ${pattern}`),
      );
    await run("qemu-io", ["-f", "qcow2", "-c", "write -P 0x63 0 1M", old]);
    const start = () => host.client.ask(host.client.contract.vms.StartVm, { requestId: randomUUID(), vm });
    assert.equal((await host.end(await start())).error, null);

    // libvirtd dies as it is to ask QEMU for the switch, and QEMU gets that request from here.
    const operation = await atSwitch(
      vm,
      () => host.libvirtd.kill("SIGKILL"),
      async () => {
        const monitor = await Monitor.of(vmId);
        await monitor.pivot();
        await monitor.writes("data", "0x64", "1M");
        await monitor.quit();
      },
    );
    await host.libvirtd.startAgain();
    await mortal.restart();

    const { error: doubt } = await mortal.untilInDoubt(operation, "MOVE_IN_DOUBT");
    for (const path of [old, copy]) assert.ok(doubt?.message.includes(path), doubt?.message);
    assert.equal(await pathOf(vm), old);
    await has(old, "0x63");
    await has(copy, "0x64");

    // A person has compared them.
    await mortal.decide(operation, old, copy);
    await isIn(vm, vmId, "other");
    await has(copy, "0x64");
    await host.remove(vm);
  });

  test("a guest that runs on with the copy, which libvirtd could not record, has moved", async () => {
    const vm = "unrecorded";
    const vmId = await create(vm, false);
    const old = await pathOf(vm);
    const copy = join(other, `socle-${vmId}-data.qcow2`);
    const operation = await atSwitch(
      vm,
      () => host.libvirtd.kill("SIGKILL"),
      async () => {
        const monitor = await Monitor.of(vmId);
        await monitor.pivot();
        await monitor.writes("data", "0x64", "1M");
        await monitor.forget();
      },
    );
    await host.libvirtd.startAgain();
    await mortal.restart();
    const { error, steps } = await host.end(operation, 180_000);
    assert.equal(error, null, JSON.stringify(steps));
    assert.deepEqual([await pathOf(vm), await pathOf(vm, "vdb", "--inactive")], [old, copy]);
    assert.equal(await poolInSpec(vm), "other");

    // libvirt has another file until the next start: a backup would have its bytes.
    const { backups, vms } = host.client.contract;
    const of = () => ({ requestId: randomUUID(), vm });
    await assert.rejects(host.client.ask(backups.BeginBackup, of()), { reason: "DISK_BUSY" });
    // Its memory would be restored over that file.
    const suspended = await host.end(await host.client.ask(vms.SuspendVm, of()), 120_000);
    assert.equal(host.failureOf(suspended)?.reason, "SWITCH_UNRECORDED", JSON.stringify(suspended));
    const stop = host.client.ask(vms.StopVm, { ...of(), force: true, gracefulTimeout: { seconds: 0 } });
    assert.equal((await host.end(await stop)).error, null);
    assert.equal((await host.end(await host.client.ask(vms.StartVm, of()))).error, null);
    const { stdout } = await run("qemu-io", ["-U", "-r", "-f", "qcow2", "-c", "read -P 0x64 0 1M", copy]);
    assert.doesNotMatch(stdout, /failed/);
    assert.equal((await host.end(await beginMove(vm, "images"), 120_000)).error, null);
    await isIn(vm, vmId, "images");
    await host.remove(vm);
  });
});
