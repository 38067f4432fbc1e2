import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, open, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { systemClock } from "../../agent/kernel/clock.ts";
import { silentLog } from "../../agent/kernel/log.ts";
import type { Operation } from "../../agent/state/operations/operation.ts";
import { Operations } from "../../agent/state/operations/operations.ts";
import { type Libvirtd, libvirtdUnavailable } from "../support/libvirtd.ts";
import { GuestShell } from "../support/guest-shell.ts";
import { qemuOf } from "../support/qemu-of.ts";
import { eventually } from "../support/wait.ts";
import { virsh } from "../support/virsh.ts";
import { linux, requestId, Rig, VmStage } from "./vms-stage.ts";

/** What libvirt's image begins with until it has all of the memory. */
const PART = "LibvirtQemudPart";

suite("suspending VMs over a real libvirtd", { skip: libvirtdUnavailable(), timeout: 900_000 }, () => {
  let stage: VmStage;
  let libvirtd: Libvirtd;
  let rig: Rig;

  before(async () => {
    stage = await VmStage.start();
    ({ libvirtd, rig } = stage);
  });
  after(() => stage.stop());

  const imageOf = (vm: string): string => join(libvirtd.directory, `lib/qemu/save/${vm}.save`);
  const isSaved = (vm: string): boolean | undefined => rig.table.get(vm)?.savedState;
  const suspend = async (vm: string) => rig.vms.begin("SUSPEND_VM", { requestId: requestId(), vm }, "tester");
  const discard = async (vm: string) =>
    rig.vms.begin("DISCARD_SAVED_STATE", { requestId: requestId(), vm }, "tester");
  const start = async (vm: string, placementEpoch = 0) =>
    rig.vms.begin("START_VM", { requestId: requestId(), vm, placementEpoch }, "tester");
  const remove = async (vm: string, more: { eraseDisks?: boolean } = {}) =>
    rig.vms.begin(
      "DELETE_VM",
      { requestId: requestId(), vm, keepDisks: false, force: true, ...more },
      "tester",
    );

  test("a suspended guest continues where it was, with the newest metadata", async () => {
    await rig.succeeds(rig.vms.create({ ...linux("sleeper"), placementEpoch: 1 }, "tester"));
    const shell = await GuestShell.join(rig.libvirt, "sleeper");
    await shell.run("echo remembered >/run/memory");
    await shell.close();
    const { etag } = rig.table.get("sleeper") ?? {};
    const { result } = await rig.succeeds(suspend("sleeper"));
    assert.deepEqual(result, { state: "stopped", was: "running" });
    assert.equal(await virsh(libvirtd.uri, ["domstate", "sleeper", "--reason"]), "shut off (saved)");
    assert.equal(isSaved("sleeper"), true);
    assert.notEqual(rig.table.get("sleeper")?.etag, etag);
    assert.ok(existsSync(imageOf("sleeper")));

    // A stop finds it off and keeps the saved state.
    const stop = { requestId: requestId(), vm: "sleeper", force: false };
    assert.equal(
      (await rig.succeeds(rig.vms.begin("STOP_VM", stop, "tester"))).result["stopped_by"],
      "already",
    );
    assert.equal(isSaved("sleeper"), true);

    const started = await rig.succeeds(start("sleeper", 2));
    assert.equal(started.result["from"], "saved state");
    assert.ok(!existsSync(imageOf("sleeper")));
    const again = await GuestShell.join(rig.libvirt, "sleeper");
    assert.match(await again.run("cat /run/memory"), /remembered/);
    await again.close();
    // The image had the metadata of epoch 1.
    const live = await virsh(libvirtd.uri, ["metadata", "sleeper", "urn:socle:vm:1", "--live"]);
    assert.match(live, /<placementEpoch>2</);
    await eventually(() => rig.table.get("sleeper")?.placementEpoch === 2, { what: "the epoch to be read" });
    assert.equal(isSaved("sleeper"), undefined);

    // A paused guest is paused again.
    await rig.succeeds(rig.vms.begin("PAUSE_VM", { requestId: requestId(), vm: "sleeper" }, "tester"));
    await rig.succeeds(suspend("sleeper"));
    assert.equal((await rig.succeeds(start("sleeper"))).result["from"], "saved state");
    assert.equal(await virsh(libvirtd.uri, ["domstate", "sleeper"]), "paused");
    await rig.succeeds(remove("sleeper"));
  });

  test("a discarded saved state is gone, and the next start boots", async () => {
    const disks = [{ name: "data", source: { kind: "new", pool: "images", capacityBytes: 2 ** 20 } }];
    await rig.succeeds(rig.vms.create(linux("forgetful", { disks }), "tester"));
    const none = await rig.done(await discard("forgetful"));
    assert.equal(none.error?.reason, "VM_STATE_CONFLICT");
    await rig.succeeds(suspend("forgetful"));
    // Another client saved it while it wrote to another file.
    const saved = await virsh(libvirtd.uri, ["managedsave-dumpxml", "forgetful"]);
    const document = join(libvirtd.imagesDirectory, "forgetful.xml");
    await writeFile(document, saved.replaceAll("-data.qcow2", "-data.old.qcow2"));
    await virsh(libvirtd.uri, ["managedsave-define", "forgetful", document]);
    const replaced = await rig.done(await start("forgetful"));
    assert.equal(replaced.error?.reason, "SAVED_STATE_UNUSABLE");
    assert.match(replaced.error.message, /saved with .*-data\.old\.qcow2 in place of /);
    assert.equal((await rig.succeeds(discard("forgetful"))).result["discarded"], "yes");
    assert.equal(isSaved("forgetful"), false);
    assert.ok(!existsSync(imageOf("forgetful")));
    assert.equal((await rig.succeeds(discard("forgetful"))).result["discarded"], "none");
    assert.equal((await rig.succeeds(start("forgetful"))).result["from"], "boot");
    await rig.succeeds(remove("forgetful"));
  });

  test("a saved state that cannot be loaded fails the start and names the way out", async () => {
    await rig.succeeds(rig.vms.create(linux("damaged"), "tester"));
    await rig.succeeds(suspend("damaged"));
    await truncate(imageOf("damaged"), Math.floor((await stat(imageOf("damaged"))).size / 2));
    const failed = await rig.done(await start("damaged"));
    assert.equal(failed.error?.reason, "SAVED_STATE_UNUSABLE");
    assert.match(failed.error.message, /socle vm discard-saved-state damaged/);
    await eventually(() => isSaved("damaged"), { what: "the saved state to be seen again" });
    await rig.succeeds(discard("damaged"));
    assert.equal((await rig.succeeds(start("damaged"))).result["from"], "boot");
    // The receipt of an erasure names what was removed without being overwritten.
    await rig.succeeds(suspend("damaged"));
    await rig.succeeds(remove("damaged", { eraseDisks: true }));
    assert.ok(!existsSync(imageOf("damaged")));
    assert.deepEqual(await stage.domains(), []);
  });

  test("a libvirtd killed while it saves leaves no success and no part of the memory", async () => {
    await rig.succeeds(rig.vms.create(linux("cut"), "tester"));
    let operation = await suspend("cut");
    // A libvirtd that stands still can neither end the save nor remove the image between the look and the kill.
    const isCaughtSaving = async (): Promise<boolean> => {
      await libvirtd.kill("SIGSTOP");
      if ((await headerOf(imageOf("cut")).catch(() => undefined)) === PART) return true;
      await libvirtd.kill("SIGCONT");
      // It may end between two looks.
      if (rig.operations.get(operation.id).state !== "succeeded") return false;
      await rig.succeeds(start("cut"));
      operation = await suspend("cut");
      return false;
    };
    await eventually(isCaughtSaving, {
      what: "libvirt to be seen saving",
      intervalMs: 1,
      timeoutMs: 180_000,
    });
    await libvirtd.kill("SIGKILL");
    await libvirtd.startAgain();
    const end = await eventually(
      () => {
        const now = rig.operations.get(operation.id);
        return now.state === "failed" || now.state === "succeeded" ? now : undefined;
      },
      { what: "the interrupted suspension to end", timeoutMs: 180_000 },
    );
    assert.equal(end.state, "failed");
    assert.match(end.error?.reason ?? "", /^(INTERRUPTED|EFFECT_NOT_OBSERVED)$/);
    assert.equal(await virsh(libvirtd.uri, ["domstate", "cut"]), "running");
    assert.ok(!existsSync(imageOf("cut")), "a part of the guest's memory must not stay");
    await rig.succeeds(suspend("cut"));
    assert.equal((await rig.succeeds(start("cut"))).result["from"], "saved state");
    await rig.succeeds(remove("cut"));
  });

  test("a suspension whose agent died is settled by the image that libvirt has written since", async () => {
    const { vmId } = await rig.succeeds(rig.vms.create(linux("orphan"), "tester"));
    const { instance } = rig.table.get(vmId) ?? {};
    const directory = await mkdtemp(join(tmpdir(), "socle-suspend-"));
    // An agent that makes the operation durable and dies.
    const dying = await Operations.open({
      ...{ directory, clock: systemClock, log: silentLog },
      retentionMs: 86_400_000,
    });
    const of = {
      caller: "tester",
      kind: "SUSPEND_VM",
      vmId,
      fingerprint: "f",
      ...(instance && { instance }),
    };
    const saved = await dying.begin({ ...of, requestId: "saved", intent: { kind: "SUSPEND_VM" } });
    await dying.drain(0);
    await virsh(libvirtd.uri, ["managedsave", "orphan"]);
    const next = await Rig.start(libvirtd.uri, directory);
    try {
      const end = await next.succeeds(Promise.resolve(saved.operation));
      assert.deepEqual(end.result, { state: "stopped", was: "stopped" });
      assert.equal(next.table.get(vmId)?.savedState, true);
      const request = { requestId: requestId(), vm: vmId, placementEpoch: 0 };
      const started = await next.succeeds(next.vms.begin("START_VM", request, "tester"));
      assert.equal(started.result["from"], "saved state");
    } finally {
      await next.stop();
      await rm(directory, { recursive: true });
    }
    await rig.succeeds(remove("orphan"));
  });

  test("a forced stop ends the suspension of a QEMU that hangs", async () => {
    const { vmId } = await rig.succeeds(rig.vms.create(linux("stuck"), "tester"));
    const isOccupied = async () => !(await virsh(libvirtd.uri, ["domcontrol", "stuck"])).startsWith("ok");
    const hasBegun = ({ id }: Operation) =>
      rig.operations.get(id).steps.some(({ name }) => name === "save memory");
    /** If libvirt was asking QEMU for statistics when that stopped, the suspension waits for these. */
    const suspendHung = async (): Promise<Operation> => {
      const qemu = await qemuOf(vmId);
      process.kill(qemu, "SIGSTOP");
      const suspension = await suspend("stuck");
      const seen = await eventually(
        async () => {
          const waits = await isOccupied();
          if (hasBegun(suspension)) return "begun";
          return waits ? "waits" : undefined;
        },
        { what: "the suspension to begin" },
      );
      if (seen === "begun") return suspension;
      process.kill(qemu, "SIGCONT");
      assert.equal((await rig.done(suspension)).error, undefined);
      await rig.succeeds(start("stuck"));
      return await suspendHung();
    };
    const suspension = await suspendHung();
    const stop = { requestId: requestId(), vm: "stuck", gracefulTimeoutMs: 0, force: true };
    const stopped = await rig.succeeds(rig.vms.begin("STOP_VM", stop, "tester"));
    assert.equal(stopped.result["stopped_by"], "already");
    assert.equal((await rig.done(suspension)).error?.reason, "SUSPEND_CUT_SHORT");
    assert.equal(await virsh(libvirtd.uri, ["domstate", "stuck"]), "shut off");
    assert.ok(!existsSync(imageOf("stuck")));
    assert.equal((await rig.succeeds(start("stuck"))).result["from"], "boot");
    await rig.succeeds(remove("stuck"));
  });

  test("an NMI reaches the guest", async () => {
    await rig.succeeds(rig.vms.create(linux("nmi"), "tester"));
    const shell = await GuestShell.join(rig.libvirt, "nmi");
    const before = await shell.run("grep NMI: /proc/interrupts");
    await rig.succeeds(rig.vms.begin("INJECT_NMI", { requestId: requestId(), vm: "nmi" }, "tester"));
    await eventually(async () => (await shell.run("grep NMI: /proc/interrupts")) !== before, {
      what: "the guest to count the NMI",
    });
    await shell.close();
    await rig.succeeds(remove("nmi"));
  });
});

async function headerOf(path: string): Promise<string> {
  const file = await open(path);
  try {
    const { buffer } = await file.read(Buffer.alloc(16), 0, 16, 0);
    return buffer.toString("latin1");
  } finally {
    await file.close();
  }
}
