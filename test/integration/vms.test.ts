import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { SocleError } from "../../agent/kernel/errors.ts";
import { guestXml, bootedMarker } from "../support/guest.ts";
import { type Libvirtd, libvirtdUnavailable } from "../support/libvirtd.ts";
import { eventually } from "../support/wait.ts";
import { virsh } from "../support/virsh.ts";
import { linux, MIB, requestId, VmStage, type Rig } from "./vms-stage.ts";

suite("VMs over a real libvirtd", { skip: libvirtdUnavailable(), timeout: 240_000 }, () => {
  let stage: VmStage;
  let libvirtd: Libvirtd;
  let rig: Rig;

  before(async () => {
    stage = await VmStage.start();
    ({ libvirtd, rig } = stage);
  });
  after(() => stage.stop());

  test("a VM is created with a new disk, boots, prints on its console, stops on request, and is deleted with its disk", async () => {
    const disk = { name: "data", source: { kind: "new", pool: "images", capacityBytes: 64 * MIB } };
    const created = await rig.succeeds(
      rig.vms.create(linux("life", { disks: [disk], labels: { note: "a <b> & 'c'" } }), "tester"),
    );
    const vm = rig.table.get("life");
    assert.deepEqual(
      {
        id: vm?.id,
        state: vm?.state,
        managed: vm?.managed,
        accelerator: vm?.accelerator,
        labels: vm?.labels,
      },
      {
        id: created.vmId,
        state: "running",
        managed: true,
        accelerator: "tcg",
        labels: { note: "a <b> & 'c'" },
      },
    );
    assert.equal(await virsh(libvirtd.uri, ["domstate", "life"]), "running");
    assert.match(await stage.volumes(), new RegExp(`socle-${created.vmId}-data\\.qcow2`));

    const signal = AbortSignal.timeout(60_000);
    const console = await rig.vms.openConsole("life", { force: false }, signal);
    let printed = "";
    for await (const chunk of console) {
      printed += chunk.toString("latin1");
      if (printed.includes(bootedMarker)) break;
    }
    assert.match(printed, /socle-guest: booted/);

    await assert.rejects(
      rig.vms.begin(
        "DELETE_VM",
        { requestId: requestId(), vm: "life", keepDisks: false, force: false },
        "tester",
      ),
      { kind: "conflict", reason: "VM_RUNNING" },
    );
    const stopped = await rig.succeeds(
      rig.vms.begin(
        "STOP_VM",
        { requestId: requestId(), vm: "life", gracefulTimeoutMs: 40_000, force: false },
        "tester",
      ),
    );
    assert.equal(stopped.result["stopped_by"], "guest");
    assert.equal(await virsh(libvirtd.uri, ["domstate", "life"]), "shut off");
    await rig.succeeds(
      rig.vms.begin(
        "DELETE_VM",
        { requestId: requestId(), vm: "life", keepDisks: false, force: false },
        "tester",
      ),
    );
    assert.equal(rig.table.get("life"), undefined);
    assert.deepEqual(await stage.domains(), []);
    assert.doesNotMatch(await stage.volumes(), new RegExp(created.vmId));
    const reported = rig.events.filter(({ vmId }) => vmId === created.vmId);
    // The state of the first read depends on the speed of its start.
    assert.equal(reported[0]?.kind, "vm_defined");
    const states = reported.map(({ kind, vmState }) => (kind === "vm_state_changed" ? vmState : kind));
    assert.deepEqual(states.slice(states.indexOf("running")), [
      "running",
      "stopping",
      "stopped",
      "vm_removed",
    ]);
  });

  test("a repeated request is one operation and one VM; another body with its id is refused", async () => {
    const request = linux("once", { vcpus: 1 });
    const [first, second] = await Promise.all([
      rig.vms.create(request, "tester"),
      rig.vms.create(request, "tester"),
    ]);
    assert.equal(second.id, first.id);
    await rig.done(first);
    const again = await rig.vms.create(request, "tester");
    assert.equal(again.id, first.id);
    assert.deepEqual(await stage.domains(), ["once"]);
    const other = { ...request, spec: { ...request.spec, vcpus: 2 } };
    await assert.rejects(rig.vms.create(other, "tester"), { kind: "conflict", reason: "REQUEST_ID_REUSED" });
    await assert.rejects(rig.vms.create(linux("once"), "tester"), {
      kind: "already_exists",
      reason: "VM_EXISTS",
    });
    await rig.succeeds(
      rig.vms.begin(
        "DELETE_VM",
        { requestId: requestId(), vm: first.vmId, keepDisks: false, force: true },
        "tester",
      ),
    );
  });

  test("a failed create rolls back its earlier steps", async () => {
    const disk = { name: "data", source: { kind: "new", pool: "images", capacityBytes: 64 * MIB } };
    const cpu = { cpuMode: "custom", cpuModel: "NoSuchModel" };
    const before = await stage.volumes();
    const end = await rig.done(await rig.vms.create(linux("half", { disks: [disk], ...cpu }), "tester"));
    assert.equal(end.state, "failed");
    assert.deepEqual(
      end.steps.map(({ name, outcome }) => `${name} ${outcome}`),
      ["resolve done", "claim volumes done", "volume data undone", "define undone", "start failed"],
    );
    assert.deepEqual(await stage.domains(), []);
    assert.equal(await stage.volumes(), before);
  });

  test("a missing volume and a missing pool are named", async () => {
    const absent = { kernel: { pool: "images", volume: "no-such-kernel" } };
    const volume = await rig.done(await rig.vms.create(linux("absent", { kernelBoot: absent }), "tester"));
    assert.deepEqual(
      { kind: volume.error?.kind, reason: volume.error?.reason },
      { kind: "not_found", reason: "VOLUME_NOT_FOUND" },
    );
    const nowhere = { kernel: { pool: "nowhere", volume: "kernel" } };
    const pool = await rig.done(await rig.vms.create(linux("absent", { kernelBoot: nowhere }), "tester"));
    assert.deepEqual(
      { kind: pool.error?.kind, reason: pool.error?.reason },
      { kind: "not_found", reason: "POOL_NOT_FOUND" },
    );
    assert.deepEqual(await stage.domains(), []);
  });

  test("unmanaged VMs are listed and never changed", async () => {
    const xml = join(stage.state, "foreign.xml");
    await writeFile(xml, guestXml({ name: "foreign", boot: { bootSector: stage.files.bootSector } }));
    await virsh(libvirtd.uri, ["define", xml]);
    const vm = await eventually(() => rig.table.get("foreign"), { what: "the unmanaged VM to be listed" });
    assert.deepEqual({ managed: vm.managed, state: vm.state }, { managed: false, state: "stopped" });
    const refused = { kind: "denied", reason: "VM_UNMANAGED" };
    const request = { requestId: requestId(), vm: "foreign" };
    await assert.rejects(rig.vms.begin("START_VM", { ...request, placementEpoch: 0 }, "tester"), refused);
    await assert.rejects(rig.vms.begin("STOP_VM", { ...request, force: true }, "tester"), refused);
    await assert.rejects(rig.vms.begin("PAUSE_VM", request, "tester"), refused);
    await assert.rejects(rig.vms.begin("RESUME_VM", request, "tester"), refused);
    await assert.rejects(rig.vms.begin("REBOOT_VM", { ...request, force: true }, "tester"), refused);
    await assert.rejects(
      rig.vms.begin("DELETE_VM", { ...request, keepDisks: false, force: true }, "tester"),
      refused,
    );
    await assert.rejects(rig.vms.openConsole("foreign", { force: true }, AbortSignal.timeout(1000)), refused);
    await virsh(libvirtd.uri, ["undefine", "foreign"]);
    await eventually(() => rig.table.get("foreign") === undefined, { what: "the foreign VM to be gone" });
  });

  test("a VM that is not in a complete list is not found", async () => {
    await assert.rejects(
      rig.vms.begin("START_VM", { requestId: requestId(), vm: "missing", placementEpoch: 0 }, "tester"),
      (thrown) => {
        return (
          thrown instanceof SocleError && thrown.kind === "not_found" && thrown.reason === "VM_NOT_FOUND"
        );
      },
    );
  });

  test("statistics arrive with the sampling rounds", async () => {
    const { vmId } = await rig.succeeds(rig.vms.create(linux("counted"), "tester"));
    const stats = await eventually(
      () => {
        const now = rig.table.get(vmId)?.stats;
        return (now?.cpuSeconds ?? 0) > 0 && (now?.rssBytes ?? 0) > 10 * MIB ? now : undefined;
      },
      { what: "a sample", timeoutMs: 60_000 },
    );
    assert.equal(stats.balloonBytes, 128 * MIB);
    assert.equal(stats.vcpus.length, 1);
    await rig.succeeds(
      rig.vms.begin(
        "DELETE_VM",
        { requestId: requestId(), vm: vmId, keepDisks: false, force: true },
        "tester",
      ),
    );
  });
});
