// Deaths of the agent at the boundaries of its journal, and of libvirtd in a merge or its switch, while snapshots change.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { Monitor } from "../support/monitor.ts";
import { MortalHost } from "../support/mortal-host.ts";
import { bootSector, type SocleHost } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";

const MIB = 2 ** 20;
const run = promisify(execFile);

suite("interrupted changes of snapshots", { skip: libvirtdUnavailable(), timeout: 1_500_000 }, () => {
  let mortal: MortalHost;
  let host: SocleHost;

  before(async () => {
    mortal = await MortalHost.start();
    ({ host } = mortal);
  });
  after(() => mortal.stop());

  const data = { name: "data", newVolume: { pool: "images", capacityBytes: 8 * MIB } };
  const create = async (name: string, leaveStopped: boolean): Promise<string> => {
    const spec = bootSector(name, { disks: [...(bootSector(name).disks ?? []), data] });
    const { error, vmId } = await host.create(spec, { leaveStopped });
    assert.equal(error, null);
    return vmId;
  };
  type Method = "CreateSnapshot" | "DeleteSnapshot" | "RevertSnapshot";
  const begin = (method: Method, request: object, requestId = randomUUID()): Promise<Operation__Output> => {
    const { snapshots } = host.client.contract;
    return host.client.ask(snapshots[method], { ...request, requestId });
  };
  const change = async (method: Method, request: object): Promise<void> => {
    const { error, steps } = await host.end(await begin(method, request));
    assert.equal(error, null, JSON.stringify(steps));
  };
  const names = async (vm: string): Promise<string[]> =>
    (await host.client.ask(host.client.contract.snapshots.ListSnapshots, { vm })).snapshots.map(
      ({ name }) => name,
    );
  const files = async (vmId: string): Promise<string[]> =>
    (await readdir(host.libvirtd.imagesDirectory)).filter((name) => name.startsWith(`socle-${vmId}`)).sort();
  /** The file that the guest writes to, over virsh. */
  const active = async (vm: string): Promise<string> =>
    /vdb\s+(\S+)/.exec(await host.virsh("domblklist", vm))?.[1] ?? assert.fail("no disk");
  const chain = async (vm: string): Promise<string[]> => {
    const { stdout } = await run("qemu-img", [
      "info",
      "-U",
      "--backing-chain",
      "--output=json",
      await active(vm),
    ]);
    return (JSON.parse(stdout) as { filename: string }[]).map(({ filename }) => filename);
  };
  const write = async (vm: string, text: string, at: number): Promise<void> => {
    await run("qemu-io", ["-c", `write -P ${text.charCodeAt(0)} ${at * 65536} 65536`, await active(vm)]);
  };
  /** Of all bytes of the disk, as the guest would read them. */
  const digest = async (vm: string): Promise<string> => {
    const raw = join(host.agent.directory, "digest.raw");
    await run("qemu-img", ["convert", "-U", "-O", "raw", await active(vm), raw]);
    return createHash("sha256")
      .update(await readFile(raw))
      .digest("hex");
  };

  /** The change, over the agent's death at the boundary; whether it died. */
  const cutOff = async (boundary: number, method: Method, request: object): Promise<boolean> =>
    (await mortal.survives(boundary, (requestId) => begin(method, request, requestId))).died;

  test("a stopped VM's snapshots survive the agent's death at any boundary, with their bytes", async () => {
    const vm = "off";
    const id = await create(vm, true);
    await write(vm, "a", 0);
    const first = await digest(vm);
    let deaths = 0;
    for (let boundary = 1; ; boundary += 11) {
      const before = await digest(vm);
      if (await cutOff(boundary, "CreateSnapshot", { vm, name: "one" })) deaths += 1;
      assert.deepEqual(await names(vm), ["one"]);
      assert.equal(await digest(vm), before);
      assert.equal((await chain(vm)).length, 2);
      assert.equal((await files(id)).length, 2);
      await write(vm, "b", 1);
      const after = await digest(vm);
      assert.notEqual(after, before);

      if (await cutOff(boundary, "RevertSnapshot", { vm, snapshot: "one" })) deaths += 1;
      assert.equal(await digest(vm), first);
      assert.equal((await chain(vm)).length, 2);
      assert.equal((await files(id)).length, 2);
      await write(vm, "c", 2);
      const last = await digest(vm);

      const died = await cutOff(boundary, "DeleteSnapshot", { vm, snapshot: "one" });
      assert.equal(await digest(vm), last);
      assert.deepEqual(await files(id), [`socle-${id}-data.qcow2`]);
      assert.deepEqual(await names(vm), []);
      assert.equal(await host.virsh("domstate", vm), "shut off");
      // Each round begins with the same bytes.
      await run("qemu-io", ["-c", `write -z ${2 * 65536} 65536`, await active(vm)]);
      assert.equal(await digest(vm), first);
      if (!died) break;
      deaths += 1;
    }
    assert.ok(deaths >= 6, `${deaths} deaths`);
    await host.remove(vm);
    assert.deepEqual(await files(id), []);
  });

  test("a running guest's snapshot survives the agent's death in its creation and deletion", async () => {
    const vm = "runs";
    const id = await create(vm, false);
    const pid = await host.virsh("domid", vm);
    let deaths = 0;
    for (let boundary = 3; ; boundary += 13) {
      if (await cutOff(boundary, "CreateSnapshot", { vm, name: "one" })) deaths += 1;
      await change("CreateSnapshot", { vm, name: "two" });
      assert.equal((await chain(vm)).length, 3);
      await cutOff(boundary, "DeleteSnapshot", { vm, snapshot: "one" });
      assert.equal((await chain(vm)).length, 2);
      const died = await cutOff(boundary, "DeleteSnapshot", { vm, snapshot: "two" });
      assert.deepEqual(await files(id), [`socle-${id}-data.qcow2`]);
      assert.equal((await chain(vm)).length, 1);
      if (!died) break;
      deaths += 1;
    }
    assert.ok(deaths >= 2, `${deaths} deaths`);
    assert.equal(await host.virsh("domid", vm), pid, "the guest ran on");
    await host.remove(vm);
  });

  test("a merge goes on after libvirtd was killed in it", async () => {
    const vm = "merged";
    const id = await create(vm, true);
    await change("CreateSnapshot", { vm, name: "one" });
    for (let at = 0; at < 100; at += 1) await write(vm, "d", at);
    const before = await digest(vm);
    const operation = await begin("DeleteSnapshot", { vm, snapshot: "one" });
    await eventually(async () => (await host.virsh("domstate", vm).catch(() => "")) === "paused", {
      what: "the QEMU of the merge",
      intervalMs: 5,
    });
    await host.libvirtd.kill("SIGKILL");
    await host.libvirtd.startAgain();
    const { error } = await host.end(operation, 180_000);
    assert.equal(error, null);
    assert.equal(await digest(vm), before);
    assert.deepEqual(await files(id), [`socle-${id}-data.qcow2`]);
    assert.equal(await host.virsh("domstate", vm), "shut off");
    await host.remove(vm);
  });

  test("a guest that wrote to the file below its layer before libvirtd could record the switch keeps those bytes", async () => {
    const vm = "in-doubt";
    const id = await create(vm, true);
    const base = await active(vm);
    await change("CreateSnapshot", { vm, name: "one" });
    const layer = await active(vm);
    const has = (path: string, pattern: string) =>
      run("qemu-io", ["-r", "-f", "qcow2", "-c", `read -P ${pattern} 0 1M`, path]).then(({ stdout }) =>
        assert.doesNotMatch(stdout, /failed/, `${path} has ${pattern}`),
      );
    await run("qemu-io", ["-f", "qcow2", "-c", "write -P 0x63 0 1M", layer]);
    const { vms } = host.client.contract;
    const start = () => host.client.ask(vms.StartVm, { requestId: randomUUID(), vm });
    assert.equal((await host.end(await start())).error, null);

    // libvirtd dies as it is to ask QEMU for the switch, and QEMU gets that request from here.
    const operation = await mortal.atSwitch(
      () => begin("DeleteSnapshot", { vm, snapshot: "one" }),
      () => host.libvirtd.kill("SIGKILL"),
      async () => {
        const monitor = await Monitor.of(id);
        await monitor.pivot();
        await monitor.writes("data", "0x64", "1M");
        await monitor.quit();
      },
    );
    await host.libvirtd.startAgain();
    await mortal.restart();

    const { error: doubt } = await mortal.untilInDoubt(operation, "MERGE_IN_DOUBT");
    for (const path of [layer, base]) assert.ok(doubt?.message.includes(path), doubt?.message);
    assert.equal(await active(vm), layer);
    await has(layer, "0x63");
    await has(base, "0x64");

    // A person has compared them.
    await mortal.decide(operation, layer, base);
    assert.deepEqual([await active(vm), await chain(vm)], [base, [base]]);
    await has(base, "0x64");
    assert.deepEqual(await files(id), [`socle-${id}-data.qcow2`]);
    assert.deepEqual(await names(vm), []);
    assert.equal(await host.virsh("domstate", vm), "shut off");
    await host.remove(vm);
  });

  test("a guest that runs on with the file below its layer, which libvirtd could not record, is merged", async () => {
    const vm = "unrecorded";
    const id = await create(vm, false);
    const base = await active(vm);
    await change("CreateSnapshot", { vm, name: "one" });
    const layer = await active(vm);
    const operation = await mortal.atSwitch(
      () => begin("DeleteSnapshot", { vm, snapshot: "one" }),
      () => host.libvirtd.kill("SIGKILL"),
      async () => {
        const monitor = await Monitor.of(id);
        await monitor.pivot();
        await monitor.writes("data", "0x64", "1M");
        await monitor.forget();
      },
    );
    await host.libvirtd.startAgain();
    await mortal.restart();
    const { error, steps } = await host.end(operation, 180_000);
    assert.equal(error, null, JSON.stringify(steps));
    assert.deepEqual(await names(vm), []);
    assert.equal(await active(vm), layer, "libvirt shows it until the next start");
    const { vms } = host.client.contract;
    const of = () => ({ requestId: randomUUID(), vm });
    assert.equal(
      (
        await host.end(
          await host.client.ask(vms.StopVm, { ...of(), force: true, gracefulTimeout: { seconds: 0 } }),
        )
      ).error,
      null,
    );
    assert.equal((await host.end(await host.client.ask(vms.StartVm, of()))).error, null);
    assert.deepEqual([await active(vm), await chain(vm)], [base, [base]]);
    const { stdout } = await run("qemu-io", ["-U", "-r", "-f", "qcow2", "-c", "read -P 0x64 0 1M", base]);
    assert.doesNotMatch(stdout, /failed/);
    // The layer that could not be deleted goes with the next snapshot.
    await change("CreateSnapshot", { vm, name: "two" });
    await change("DeleteSnapshot", { vm, snapshot: "two" });
    assert.deepEqual(await files(id), [`socle-${id}-data.qcow2`]);
    await host.remove(vm);
  });
});
