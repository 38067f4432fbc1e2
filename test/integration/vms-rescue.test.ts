import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test, type TestContext } from "node:test";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import type { Vm__Output } from "../../agent/gen/socle/v1/Vm.ts";
import { SocleError } from "../../agent/kernel/errors.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { saying } from "../support/screen/boot-sectors.ts";
import { bootSector, SocleHost } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";

const AT_ONCE = { force: true, gracefulTimeout: { seconds: 0 } } as const;

suite("rescue of VMs on a real host", { skip: libvirtdUnavailable(), timeout: 900_000 }, () => {
  let host: SocleHost;

  before(async () => {
    host = await SocleHost.start();
    for (const [name, text] of [
      ["own", "own-disk"],
      ["rescue", "rescued"],
    ] as const)
      await writeFile(join(host.libvirtd.imagesDirectory, `${name}.img`), saying(text));
    await host.virsh("pool-refresh", "images");
  });
  after(() => host.stop());

  const volume = { pool: "images", volume: "rescue.img" };
  const create = async (t: TestContext, name: string, leaveStopped = false): Promise<string> => {
    const disks = [{ name: "root", newVolume: { pool: "images", baseVolume: "own.img" } }];
    t.after(async () => {
      if ((await host.domains()).includes(name)) await host.remove(name);
    });
    const made = await host.create(bootSector(name, { disks }), { leaveStopped });
    assert.equal(made.state, "STATE_SUCCEEDED", JSON.stringify(made.error));
    return made.vmId;
  };
  const show = (vm: string): Promise<Vm__Output> => host.client.ask(host.client.contract.vms.GetVm, { vm });
  type Acts = "RescueVm" | "UnrescueVm" | "StopVm" | "StartVm" | "SuspendVm";
  const act = async (method: Acts, request: object): Promise<Operation__Output> => {
    const { vms } = host.client.contract;
    const body = { requestId: crypto.randomUUID(), ...request };
    return await host.end(await host.client.ask(vms[method], body), 120_000);
  };
  const done = async (method: Acts, request: object): Promise<Operation__Output> => {
    const ended = await act(method, request);
    assert.equal(ended.state, "STATE_SUCCEEDED", `${JSON.stringify(ended.error)} ${host.agent.output()}`);
    return ended;
  };
  const refusal = async (method: Acts, request: object): Promise<string> => {
    try {
      return host.failureOf(await act(method, request))?.reason ?? "accepted";
    } catch (thrown) {
      return thrown instanceof SocleError ? thrown.reason : String(thrown);
    }
  };
  /** Waits until the guest prints that. */
  const prints = async (vm: string, text: string): Promise<void> => {
    const call = host.client.open(host.client.contract.vms.Console);
    let seen = "";
    call.on("data", ({ output }: { output: Buffer }) => (seen += output.toString("latin1")));
    call.on("error", () => undefined);
    call.write({ vm, force: true });
    try {
      await eventually(() => seen.includes(text), { what: `"${text}" of ${vm}`, timeoutMs: 120_000 });
    } catch (thrown) {
      throw new Error(`the guest printed ${JSON.stringify(seen.slice(0, 300))}`, { cause: thrown });
    } finally {
      call.cancel();
    }
  };
  const defined = async (vm: string): Promise<string> =>
    (await host.virsh("dumpxml", vm, "--inactive")).replace(/<metadata>.*<\/metadata>/s, "");
  const rescueVolumes = async (): Promise<string[]> =>
    (await host.volumes()).filter((name) => name.includes("rescue.qcow2"));

  test("a VM boots a rescue system that sees its disk, and then its own system again", async (t) => {
    const id = await create(t, "web");
    await prints("web", "own-disk");
    const before = await defined("web");
    assert.equal(await refusal("RescueVm", { vm: "web", volume }), "VM_RUNNING");
    assert.equal(await refusal("UnrescueVm", { vm: "web" }), "VM_NOT_RESCUED");
    const began = await done("RescueVm", { vm: "web", volume, ...AT_ONCE });
    assert.equal(began.result["stopped"], "true");
    await prints("web", "rescued");
    const { rescue, spec, state } = await show("web");
    assert.deepEqual(
      [rescue?.running, rescue?.baseVolume, rescue?.startsAfter, state],
      [true, volume, true, "VM_STATE_RUNNING"],
    );
    assert.deepEqual(
      spec?.disks.map(({ name }) => name),
      ["root"],
      "the spec is the VM's own",
    );
    assert.equal(await defined("web"), before, "virsh shows the same definition");
    const disks = await host.virsh("domblklist", "web");
    assert.match(disks, /^ *vda +\S+\.rescue\.qcow2$/m);
    assert.match(disks, new RegExp(`^ *vdb +\\S+/socle-${id}-root\\.qcow2$`, "m"), "the VM's disk is behind");
    assert.deepEqual(await rescueVolumes(), [`socle-${id}-.rescue.qcow2`]);

    assert.equal(await refusal("SuspendVm", { vm: "web" }), "VM_RESCUED");
    assert.equal(await refusal("RescueVm", { vm: "web", volume, ...AT_ONCE }), "VM_RESCUED");
    const { snapshots, vms } = host.client.contract;
    const snapshot = { requestId: crypto.randomUUID(), vm: "web", name: "s" };
    const disk = { name: "more", newVolume: { pool: "images", capacityBytes: 2 ** 20 } };
    const attach = { requestId: crypto.randomUUID(), vm: "web", disk };
    for (const refused of [
      () => host.client.ask(snapshots.CreateSnapshot, snapshot),
      () => host.client.ask(vms.AttachDisk, attach),
    ])
      await assert.rejects(refused, { reason: "VM_RESCUED" });

    const ended = await done("UnrescueVm", { vm: "web", ...AT_ONCE });
    assert.equal(ended.result["started"], "true");
    await prints("web", "own-disk");
    assert.equal((await show("web")).rescue, null);
    assert.equal(await defined("web"), before);
    assert.deepEqual(await rescueVolumes(), []);
    // A change is possible again.
    await host.end(await host.client.ask(vms.AttachDisk, { ...attach, requestId: crypto.randomUUID() }));
  });

  test("a VM that was off is off after its rescue, and a stop or start in between is the user's", async (t) => {
    await create(t, "off", true);
    await done("RescueVm", { vm: "off", volume });
    await prints("off", "rescued");
    await done("StopVm", { vm: "off", ...AT_ONCE });
    assert.deepEqual((await show("off")).rescue?.running, false);
    const ended = await done("UnrescueVm", { vm: "off" });
    assert.equal(ended.result["started"], "false");
    assert.equal((await host.virsh("domstate", "off")).trim(), "shut off");
    assert.deepEqual(await rescueVolumes(), []);

    await done("RescueVm", { vm: "off", volume });
    await done("StopVm", { vm: "off", ...AT_ONCE });
    await done("StartVm", { vm: "off" });
    await prints("off", "own-disk");
    assert.equal((await show("off")).rescue, null, "the start ended the rescue");
    assert.deepEqual(await rescueVolumes(), []);
  });

  test("a rescue outlives restarts of the agent and of libvirtd, and goes with a deleted VM", async (t) => {
    const id = await create(t, "lasting");
    await done("RescueVm", { vm: "lasting", volume, ...AT_ONCE });
    await host.agent.kill();
    await host.libvirtd.kill("SIGKILL");
    await host.libvirtd.startAgain();
    await host.agent.startAgain();
    await host.reconnect();
    await host.untilListed();
    assert.equal((await show("lasting")).rescue?.running, true);
    await prints("lasting", "rescued");
    assert.equal(await refusal("SuspendVm", { vm: "lasting" }), "VM_RESCUED");
    const removed = await host.remove("lasting");
    assert.equal(removed.state, "STATE_SUCCEEDED", JSON.stringify(removed.error));
    assert.deepEqual(
      (await host.volumes()).filter((name) => name.includes(id)),
      [],
    );
  });

  test("a rescue that cannot start leaves the VM as it was", async (t) => {
    const id = await create(t, "kept");
    await prints("kept", "own-disk");
    const missing = { pool: "images", volume: "missing.img" };
    assert.equal(await refusal("RescueVm", { vm: "kept", volume: missing, ...AT_ONCE }), "VOLUME_NOT_FOUND");
    assert.equal((await show("kept")).state, "VM_STATE_RUNNING");
    // A volume of the rescue system's name is another's, so the operation fails after the stop.
    await host.virsh("vol-create-as", "images", `socle-${id}-.rescue.qcow2`, "1M", "--format", "qcow2");
    assert.equal(await refusal("RescueVm", { vm: "kept", volume, ...AT_ONCE }), "VOLUME_EXISTS");
    await prints("kept", "own-disk");
    assert.equal((await show("kept")).rescue, null);
    await host.virsh("vol-delete", `socle-${id}-.rescue.qcow2`, "--pool", "images");
  });
});
