// The allowed effects of an interrupted operation on a VM that was changed or replaced since.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { systemClock } from "../../agent/kernel/clock.ts";
import { silentLog } from "../../agent/kernel/log.ts";
import { Operations } from "../../agent/state/operations/operations.ts";
import type { Operation } from "../../agent/state/operations/operation.ts";
import type { Vm } from "../../agent/vm/model/vm.ts";
import type { Intent } from "../../agent/vm/operations/registry.ts";
import { ownVolumes } from "../../agent/vm/model/volume-names.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { virsh } from "../support/virsh.ts";
import { linux, MIB, requestId, VmStage, Rig } from "./vms-stage.ts";

const stopIntent = { kind: "STOP_VM", gracefulTimeoutMs: 0, force: true } as const;

suite("operations and the instances of their VMs", { skip: libvirtdUnavailable(), timeout: 270_000 }, () => {
  let stage: VmStage;
  let rig: Rig;
  const directories: string[] = [];

  before(async () => {
    stage = await VmStage.start();
    ({ rig } = stage);
  });
  after(async () => {
    await stage.stop();
    for (const directory of directories) await rm(directory, { recursive: true });
  });

  const create = async (name: string, more: Record<string, unknown> = {}): Promise<Vm> => {
    const { vmId } = await rig.succeeds(
      rig.vms.create(
        linux(name, {
          disks: [{ name: "data", source: { kind: "new", pool: "images", capacityBytes: MIB } }],
          ...more,
        }),
        "tester",
      ),
    );
    return vmOf(vmId);
  };
  const vmOf = (id: string): Vm => {
    const vm = rig.table.get(id);
    assert.ok(vm);
    return vm;
  };
  const change = async (kind: "start" | "stop" | "delete", vm: Vm): Promise<Operation> => {
    const request = { requestId: requestId(), vm: vm.id };
    if (kind === "start")
      return await rig.succeeds(rig.vms.begin("START_VM", { ...request, placementEpoch: 0 }, "tester"));
    if (kind === "stop")
      return await rig.succeeds(
        rig.vms.begin("STOP_VM", { ...request, gracefulTimeoutMs: 0, force: true }, "tester"),
      );
    return await rig.succeeds(
      rig.vms.begin("DELETE_VM", { ...request, keepDisks: false, force: true }, "tester"),
    );
  };

  /** A journal with a started operation, these steps and no end, like after a crash or a rollback. */
  const interrupted = async (
    vm: Vm,
    intent: Intent,
    steps: readonly string[] = [],
    passedBy?: (operation: Operation) => Promise<void>,
  ): Promise<{ directory: string; operation: Operation }> => {
    const directory = await mkdtemp(join(tmpdir(), "socle-identity-"));
    directories.push(directory);
    const dying = await Operations.open({
      directory,
      clock: systemClock,
      log: silentLog,
      retentionMs: 86_400_000,
    });
    const begin = async (of: Intent): Promise<Operation> => {
      const target = { kind: of.kind, vmId: vm.id, instance: vm.instance, fingerprint: "f", intent: of };
      return (await dying.begin({ requestId: requestId(), caller: "tester", ...target })).operation;
    };
    const operation = await begin(intent);
    if (passedBy !== undefined) {
      const later = await begin({ kind: "START_VM", placementEpoch: 0 });
      await passedBy(later);
      await dying.run(later, () => Promise.resolve({})).ended;
    }
    dying.run(operation, async (step) => {
      for (const name of steps) await step.durable(name, () => Promise.resolve());
      return await new Promise<never>(() => undefined);
    });
    await dying.drain(200);
    return { directory, operation };
  };

  /** The operation's end by an agent that starts on this state directory. */
  const resumed = async ({
    directory,
    operation,
  }: Awaited<ReturnType<typeof interrupted>>): Promise<Operation> => {
    const next = await Rig.start(stage.libvirtd.uri, directory);
    try {
      return await next.done(operation);
    } finally {
      await next.stop();
    }
  };
  const isRunning = async (name: string): Promise<boolean> =>
    (await virsh(stage.libvirtd.uri, ["domstate", name])) === "running";
  const runNumber = async (name: string): Promise<string> => await virsh(stage.libvirtd.uri, ["domid", name]);

  test("an old deletion does not reach the VM that was created with the same id since, nor its disk", async () => {
    const id = "6f1c2f1e-0000-4000-8000-0000000000d1";
    const old = await create("reborn", { id });
    assert.ok(old.spec);
    const volumes = ownVolumes(old.spec);
    const deletion = await interrupted(old, { kind: "DELETE_VM", volumes, force: true });
    await change("delete", old);
    const vm = await create("reborn", { id });
    assert.notEqual(vm.instance, old.instance);
    const end = await resumed(deletion);
    assert.deepEqual([end.state, end.error?.reason], ["failed", "VM_REPLACED"]);
    assert.ok(await isRunning("reborn"));
    assert.match(await stage.volumes(), new RegExp(volumes[0]?.volume ?? "no volume"));
    await change("delete", vm);
  });

  test("an old deletion without a VM keeps the disk of a later VM with that id and reports it", async () => {
    const id = "6f1c2f1e-0000-4000-8000-0000000000d2";
    const old = await create("keeper", { id });
    assert.ok(old.spec);
    const volumes = ownVolumes(old.spec);
    const deletion = await interrupted(old, { kind: "DELETE_VM", volumes, force: true });
    await rig.succeeds(
      rig.vms.begin("DELETE_VM", { requestId: requestId(), vm: id, keepDisks: true, force: true }, "tester"),
    );
    const end = await resumed(deletion);
    const [volume] = volumes;
    assert.ok(volume);
    assert.deepEqual([end.state, end.error?.reason], ["failed", "DISKS_NOT_DELETED"]);
    assert.ok(end.error?.message.includes(`${volume.pool}/${volume.volume}`));
    assert.match(await stage.volumes(), new RegExp(volume.volume));
    await virsh(stage.libvirtd.uri, ["vol-delete", volume.volume, "--pool", volume.pool]);
  });

  test("an old stop has no effect after a later start", async () => {
    const vm = await create("later");
    const stop = await interrupted(vm, stopIntent, [`mark run ${await runNumber("later")}`]);
    await change("stop", vm);
    await change("start", vm);
    const end = await resumed(stop);
    assert.deepEqual([end.state, end.error?.reason], ["failed", "OPERATION_SUPERSEDED"]);
    assert.ok(await isRunning("later"));
    await change("delete", vm);
  });

  test("an interrupted stop continues after a provider's later operation ran first", async () => {
    const vm = await create("passed");
    const stamp = async (name: string, operation: Operation, phase: string, where: string): Promise<void> => {
      const xml = `<stamp operation='${operation.id}' phase='${phase}'/>`;
      const of = ["metadata", name, "urn:socle:operation:1", "--key", "socle-op", where, "--set", xml];
      await virsh(stage.libvirtd.uri, of);
    };
    const steps = [`mark run ${await runNumber("passed")}`];
    const stop = await interrupted(vm, stopIntent, steps, (start) =>
      stamp("passed", start, "complete", "--config"),
    );
    await stamp("passed", stop.operation, "run", "--live");
    const end = await resumed(stop);
    assert.deepEqual([end.state, end.result["stopped_by"]], ["succeeded", "force"]);
    assert.ok(!(await isRunning("passed")));
    await change("delete", vm);
  });

  test("an interrupted stop does not end a later run that an operator started", async () => {
    const vm = await create("by-hand");
    const stop = await interrupted(vm, stopIntent, [`mark run ${await runNumber("by-hand")}`]);
    await virsh(stage.libvirtd.uri, ["destroy", "by-hand"]);
    await virsh(stage.libvirtd.uri, ["start", "by-hand"]);
    const end = await resumed(stop);
    assert.deepEqual([end.state, end.result["stopped_by"]], ["succeeded", "unknown"]);
    assert.ok(await isRunning("by-hand"));
    await change("delete", vm);
  });

  test("an interrupted stop continues only if the same run of the guest is marked", async () => {
    const vm = await create("marked");
    const before = await resumed(await interrupted(vm, stopIntent));
    assert.deepEqual([before.state, before.error?.reason], ["failed", "INTERRUPTED"]);
    assert.ok(await isRunning("marked"));
    // libvirt's number of an unmarked run is meaningless to another agent, since libvirt may have restarted.
    const noted = await interrupted(vm, stopIntent, [`note run ${await runNumber("marked")} of another`]);
    const unsaid = await resumed(noted);
    assert.deepEqual([unsaid.state, unsaid.error?.reason], ["failed", "INTERRUPTED"]);
    assert.ok(await isRunning("marked"));
    const marked = await interrupted(vm, stopIntent, [`mark run ${await runNumber("marked")}`]);
    const stamp = `<stamp operation='${marked.operation.id}' phase='run'/>`;
    const metadata = [
      "metadata",
      "marked",
      "urn:socle:operation:1",
      "--key",
      "socle-op",
      "--live",
      "--set",
      stamp,
    ];
    await virsh(stage.libvirtd.uri, metadata);
    assert.equal((await resumed(marked)).result["stopped_by"], "force");
    assert.ok(!(await isRunning("marked")));
    await change("delete", vm);
  });

  test("a stop with a recorded complete effect has it once, whatever runs now", async () => {
    const vm = await create("whole");
    const stopped = await change("stop", vm);
    const stop = await interrupted(vm, stopIntent);
    const stamp = `<stamp operation='${stop.operation.id}' phase='complete'/>`;
    const metadata = [
      "metadata",
      "whole",
      "urn:socle:operation:1",
      "--key",
      "socle-op",
      "--config",
      "--set",
      stamp,
    ];
    assert.match(
      await virsh(stage.libvirtd.uri, ["dumpxml", "whole"]),
      new RegExp(`operation=["']${stopped.id}["'] phase=["']complete["']`),
    );
    await virsh(stage.libvirtd.uri, metadata);
    await virsh(stage.libvirtd.uri, ["start", "whole"]);
    const end = await resumed(stop);
    assert.deepEqual([end.state, end.result["state"]], ["succeeded", "stopped"]);
    assert.ok(await isRunning("whole"));
    await change("delete", vm);
  });

  test("a continued deletion is refused if the VM changed or was started since", async () => {
    const vm = await create("changed");
    assert.ok(vm.spec);
    const intent = { kind: "DELETE_VM", volumes: ownVolumes(vm.spec), force: true, etag: vm.etag } as const;
    const running = await interrupted(vm, intent, [`mark run ${await runNumber("changed")}`]);
    const unmarked = await interrupted(vm, intent);
    assert.equal((await resumed(unmarked)).error?.reason, "INTERRUPTED");
    await virsh(stage.libvirtd.uri, ["destroy", "changed"]);
    await virsh(stage.libvirtd.uri, ["start", "changed"]);
    assert.equal((await resumed(running)).error?.reason, "INTERRUPTED");
    assert.ok(await isRunning("changed"));
    const etagged = await interrupted(vm, intent);
    await virsh(stage.libvirtd.uri, ["destroy", "changed"]);
    assert.equal((await resumed(etagged)).error?.reason, "ETAG_MISMATCH");
    const begun = await interrupted(vm, intent, ["mark run 1"]);
    assert.equal((await resumed(begun)).state, "succeeded", "the state is what the deletion changes itself");
    assert.ok(!(await stage.domains()).includes("changed"));
  });

  test("an interrupted creation does not start its VM again after a later stop", async () => {
    const vm = await create("made-once");
    assert.ok(vm.spec && vm.createdAtMs);
    const creation = await interrupted(
      vm,
      {
        kind: "CREATE_VM",
        spec: vm.spec,
        accelerator: "tcg",
        leaveStopped: false,
        placementEpoch: 0,
        createdAtMs: vm.createdAtMs,
      },
      ["claim volumes"],
    );
    await change("stop", vm);
    const end = await resumed(creation);
    assert.deepEqual([end.state, end.error?.reason], ["failed", "OPERATION_SUPERSEDED"]);
    assert.ok(!(await isRunning("made-once")));
    assert.match(await stage.volumes(), new RegExp(vm.id));
    await change("delete", vm);
  });
});
