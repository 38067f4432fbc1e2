import assert from "node:assert/strict";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { systemClock } from "../../agent/kernel/clock.ts";
import { silentLog } from "../../agent/kernel/log.ts";
import { Operations } from "../../agent/state/operations/operations.ts";
import { checkSpec } from "../../agent/vm/model/spec-check.ts";
import { type Libvirtd, libvirtdUnavailable } from "../support/libvirtd.ts";
import { eventually, within } from "../support/wait.ts";
import { virsh } from "../support/virsh.ts";
import { linux, requestId, VmStage, Rig } from "./vms-stage.ts";

suite("VMs over crashes of libvirtd and the agent", { skip: libvirtdUnavailable(), timeout: 240_000 }, () => {
  let stage: VmStage;
  let libvirtd: Libvirtd;
  let rig: Rig;

  before(async () => {
    stage = await VmStage.start();
    ({ libvirtd, rig } = stage);
  });
  after(() => stage.stop());

  test("when libvirtd dies, VMs are unknown, not absent; when it is back they are present and still run", async () => {
    const { vmId } = await rig.succeeds(rig.vms.create(linux("survivor"), "tester"));
    const pidFile = join(libvirtd.directory, "run/libvirt/qemu/survivor.pid");
    const before = await stat(pidFile);
    const reported = rig.events.length;
    await libvirtd.kill("SIGKILL");
    await eventually(() => !rig.table.complete, { what: "the loss to be noticed" });
    assert.deepEqual(
      { presence: rig.table.get(vmId)?.presence, state: rig.table.get(vmId)?.state },
      { presence: "unknown", state: "running" },
    );
    await assert.rejects(
      rig.vms.begin("START_VM", { requestId: requestId(), vm: "missing", placementEpoch: 0 }, "tester"),
      {
        kind: "unavailable",
        reason: "LIBVIRT_UNAVAILABLE",
      },
    );
    await libvirtd.startAgain();
    await eventually(() => rig.table.complete && rig.table.get(vmId)?.presence === "present", {
      what: "the list to be complete again",
      timeoutMs: 30_000,
    });
    assert.equal(rig.table.get(vmId)?.state, "running");
    assert.equal((await stat(pidFile)).mtimeMs, before.mtimeMs);
    const since = rig.events.slice(reported);
    assert.ok(since.some(({ kind }) => kind === "resync"));
    assert.ok(!since.some((event) => event.vmId === vmId), "a running VM must not be reported as changed");
    // Events are registered again: another client's change is seen without a sampling round.
    await within(
      Promise.all([
        rig.table.until(vmId, (vm) => vm?.state === "paused", AbortSignal.timeout(60_000)),
        virsh(libvirtd.uri, ["suspend", "survivor"]),
      ]),
      60_000,
      "the suspend to be observed",
    );
    await rig.succeeds(
      rig.vms.begin(
        "DELETE_VM",
        { requestId: requestId(), vm: vmId, keepDisks: false, force: true },
        "tester",
      ),
    );
  });

  test("an interrupted operation is finished from libvirt's state", async () => {
    const request = linux("phoenix");
    const directory = await mkdtemp(join(tmpdir(), "socle-crash-"));
    // An agent that makes the operation durable and dies before its first step.
    const dying = await Operations.open({
      directory,
      clock: systemClock,
      log: silentLog,
      retentionMs: 86_400_000,
    });
    const id = "6f1c2f1e-0000-4000-8000-00000000dead";
    const spec = checkSpec({ ...request.spec, id }, { bridges: [], allowSpoofing: false });
    const intent = {
      kind: "CREATE_VM",
      spec,
      accelerator: "tcg",
      leaveStopped: false,
      placementEpoch: 0,
      createdAtMs: 0,
    };
    const begun = await dying.begin({
      requestId: request.requestId,
      caller: "tester",
      kind: "CREATE_VM",
      vmId: id,
      fingerprint: "f",
      intent,
    });
    await dying.drain(0);
    const next = await Rig.start(libvirtd.uri, directory);
    try {
      const end = await next.succeeds(Promise.resolve(begun.operation));
      assert.equal(end.id, begun.operation.id);
      assert.equal(await virsh(libvirtd.uri, ["domstate", "phoenix"]), "running");
      await next.succeeds(
        next.vms.begin(
          "DELETE_VM",
          { requestId: requestId(), vm: id, keepDisks: false, force: true },
          "tester",
        ),
      );
    } finally {
      await next.stop();
      await rm(directory, { recursive: true });
    }
  });
});
