import assert from "node:assert/strict";
import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { SocleError, toSocleError } from "../../../../agent/kernel/errors.ts";
import { createSnapshot } from "../../../../agent/vm/operations/create-snapshot.ts";
import { deleteSnapshot } from "../../../../agent/vm/operations/delete-snapshot.ts";
import {
  gone,
  IMAGE,
  lostReply,
  memoryStage,
  MIB,
  noted,
  reasonOf,
  SIZE,
} from "../../../support/vm/memory-stage.ts";
import { WorkStage } from "../../../support/vm/work-stage.ts";

test("memory and disks are kept together, and libvirt is asked once", async (t) => {
  const { on, libvirt, create, layer, files, kept, loose, intent } = await memoryStage(t);
  libvirt.take = async (overlays, path) => {
    // Named before it exists.
    assert.equal(loose()[0]?.file, intent.memory?.file);
    await writeFile(path, IMAGE, { mode: 0o600 });
    libvirt.switches(overlays);
  };
  const end = await create();
  assert.equal(reasonOf(end), "done");
  assert.deepEqual(await files(), [intent.memory?.file]);
  assert.deepEqual([kept(), loose(), on.files.get("root"), libvirt.takes], [[SIZE], [], layer, 1]);
});

test("whole memory stays while its directory does not answer, and is kept once it does", async (t) => {
  const { libvirt, disk, create, again, hasLayer, files, kept } = await memoryStage(t);
  libvirt.take = async (overlays, path) => {
    await writeFile(path, IMAGE, { mode: 0o600 });
    libvirt.switches(overlays);
    disk.answers = false;
  };
  assert.equal(reasonOf(await create()), "outcome_unknown SNAPSHOT_MEMORY_UNREACHABLE");
  assert.equal((await files()).length, 1);
  assert.ok(hasLayer());
  assert.equal(reasonOf(await again()), "outcome_unknown SNAPSHOT_MEMORY_UNREACHABLE");
  disk.answers = true;
  assert.equal(reasonOf(await again()), "done");
  assert.deepEqual([kept(), libvirt.takes], [[SIZE], 1]);
});

test("a lost reply without a switch is a plain failure: nothing is left", async (t) => {
  const { libvirt, create, hasLayer, files, kept, loose } = await memoryStage(t);
  libvirt.take = async (_overlays, path) => {
    await writeFile(path, IMAGE, { mode: 0o600 });
    throw lostReply;
  };
  assert.equal(reasonOf(await create()), "unavailable EFFECT_NOT_OBSERVED");
  assert.deepEqual([await files(), kept(), loose(), hasLayer()], [[], [], [], false]);
});

test("the next run of an agent that died takes over what QEMU shows, and never asks libvirt again", async (t) => {
  const shown = await memoryStage(t);
  shown.on.volumes.set(`images/${shown.layer.slice("/images/".length)}`, 64 * MIB);
  await writeFile(join(shown.directory, `${shown.intent.memory?.file ?? ""}.part`), IMAGE, {
    mode: 0o600,
  });
  shown.on.inQemu.set("root", shown.layer);
  assert.equal(reasonOf(await shown.again()), "done");
  assert.deepEqual([shown.kept(), shown.libvirt.takes], [[SIZE], 0]);

  const lost = await memoryStage(t);
  lost.on.volumes.set(`images/${lost.layer.slice("/images/".length)}`, 64 * MIB);
  assert.equal(reasonOf(await lost.again()), "conflict SNAPSHOT_NOT_TAKEN");
  assert.deepEqual([lost.kept(), lost.hasLayer(), lost.libvirt.takes], [[], false, 0]);

  // A QEMU that is not shown may write to the layer.
  const hidden = await memoryStage(t);
  hidden.on.volumes.set(`images/${hidden.layer.slice("/images/".length)}`, 64 * MIB);
  Object.assign(hidden.on.context.domains.layers, { filesInQemu: () => Promise.resolve(new Map()) });
  assert.equal(reasonOf(await hidden.again()), "conflict SWITCH_IN_DOUBT");
  assert.ok(hidden.hasLayer());
  assert.equal(hidden.on.facts.snapshots?.loose[0]?.inDoubt, true);
});

test("whole memory is not kept if the guest may have run on after it, and has ended", async (t) => {
  const { on, layer, directory, intent, again, files, kept, libvirt } = await memoryStage(t);
  on.volumes.set(`images/${layer.slice("/images/".length)}`, 64 * MIB);
  await writeFile(join(directory, `${intent.memory?.file ?? ""}.part`), IMAGE, { mode: 0o600 });
  on.note({ snapshots: JSON.stringify({ ...noted(intent), snapshots: [], active: {}, loose: [] }) });
  Object.assign(on, { state: "stopped" });
  on.show();
  assert.equal(reasonOf(await again()), "conflict SNAPSHOT_WITHOUT_MEMORY");
  assert.deepEqual([kept(), await files(), on.files.get("root"), libvirt.takes], [[undefined], [], layer, 0]);
});

test("switched disks whose memory is lost are a snapshot without memory, and its operation says so", async (t) => {
  const { on, libvirt, create, layer, files, kept, loose } = await memoryStage(t);
  // libvirt could not let the guest go on, and deleted the memory.
  libvirt.take = (overlays) => {
    libvirt.switches(overlays);
    Object.assign(on, { state: "paused", stateReason: "API_ERROR" });
    return Promise.reject(new SocleError("internal", "LIBVIRT_OPERATION_FAILED", "cont"));
  };
  assert.equal(reasonOf(await create()), "conflict SNAPSHOT_WITHOUT_MEMORY");
  assert.deepEqual([kept(), loose(), await files()], [[undefined], [], []]);
  assert.deepEqual([on.files.get("root"), on.state], [layer, "running"], "the guest goes on");
});

test("a guest that libvirt or the agent left paused goes on, and another pause stays", async (t) => {
  for (const [stateReason, isHeld, state] of [
    ["API_ERROR", false, "running"],
    ["SNAPSHOT", false, "running"],
    // Of another client, since the agent has not held it.
    ["USER", false, "paused"],
    ["USER", true, "running"],
    ["IOERROR", true, "paused"],
  ] as const) {
    const { on, libvirt, create, hasLayer } = await memoryStage(t);
    libvirt.take = async (_overlays, _path, held) => {
      if (isHeld) await held();
      Object.assign(on, { state: "paused", stateReason });
      return Promise.reject(new SocleError("internal", "LIBVIRT_OPERATION_FAILED", "no"));
    };
    assert.equal(reasonOf(await create()), "internal LIBVIRT_OPERATION_FAILED");
    assert.deepEqual([on.state, hasLayer()], [state, false]);
  }
});

test("a hold that libvirt takes after the write does not leave the guest paused", async (t) => {
  for (const next of [undefined, "held", "not held"]) {
    const { on, libvirt, create, again, layer, directory, intent } = await memoryStage(t);
    libvirt.beforeNotHeld = () => Object.assign(on, { state: "paused", stateReason: "USER" });
    libvirt.take = async (overlays, path, held) => {
      await writeFile(path, IMAGE, { mode: 0o600 });
      libvirt.switches(overlays);
      await held();
    };
    if (next !== undefined) {
      on.volumes.set(`images/${layer.slice("/images/".length)}`, 64 * MIB);
      await writeFile(join(directory, `${intent.memory?.file ?? ""}.part`), IMAGE, { mode: 0o600 });
      on.inQemu.set("root", layer);
    }
    if (next === "not held") {
      // A person has paused it while the agent was away.
      Object.assign(on, { state: "paused", stateReason: "USER" });
      assert.equal(reasonOf(await again()), "done");
      assert.deepEqual([on.state, libvirt.notHeld], ["paused", 0]);
      continue;
    }
    const end = await (next === undefined ? create() : again("note that it is held"));
    assert.deepEqual([reasonOf(end), on.state, libvirt.notHeld], ["done", "running", 1]);
  }
});

test("a guest that a person paused before libvirt is asked stays paused, and is not kept", async (t) => {
  const { on, libvirt, create, hasLayer, files } = await memoryStage(t);
  on.before = (effect) => {
    if (effect.startsWith("make")) Object.assign(on, { state: "paused", stateReason: "USER" });
  };
  assert.equal(reasonOf(await create()), "conflict VM_STATE_CONFLICT");
  assert.deepEqual([on.state, libvirt.takes, hasLayer(), await files()], ["paused", 0, false, []]);
});

test("memory is not kept over disks that were switched later, also if the run that switched them ends before", async (t) => {
  const { on, layer, directory, intent, again, files, kept } = await memoryStage(t);
  on.volumes.set(`images/${layer.slice("/images/".length)}`, 64 * MIB);
  await writeFile(join(directory, `${intent.memory?.file ?? ""}.part`), IMAGE, { mode: 0o600 });
  on.note({ snapshots: JSON.stringify({ ...noted(intent), snapshots: [], active: {}, loose: [] }) });
  Object.assign(on, { state: "stopped" });
  on.show();
  const state = on.context.domains.state.bind(on.context.domains);
  // libvirt is lost once the definition has the overlay.
  Object.assign(on.context.domains, {
    state: async (id: string) => {
      if (on.files.get("root") === layer) throw gone;
      return await state(id);
    },
  });
  const cut = await again();
  assert.ok(cut instanceof SocleError && cut.kind === "outcome_unknown", reasonOf(cut));
  assert.equal(on.files.get("root"), layer);
  Object.assign(on.context.domains, { state });
  assert.equal(reasonOf(await again()), "conflict SNAPSHOT_WITHOUT_MEMORY");
  assert.deepEqual([kept(), await files()], [[undefined], []]);
});

test("memory whose header cannot be read is kept until it can, and one too short for a header is none", async (t) => {
  const { libvirt, create, again, files, kept } = await memoryStage(t);
  libvirt.reads = false;
  libvirt.take = async (overlays, path) => {
    await writeFile(path, IMAGE, { mode: 0o600 });
    libvirt.switches(overlays);
  };
  assert.equal(reasonOf(await create()), "outcome_unknown SNAPSHOT_MEMORY_UNREACHABLE");
  assert.equal((await files()).length, 1);
  libvirt.reads = true;
  assert.equal(reasonOf(await again()), "done");
  assert.deepEqual(kept(), [SIZE]);
  const short = await memoryStage(t);
  short.libvirt.reads = false;
  short.libvirt.take = async (overlays, path) => {
    await writeFile(path, "L", { mode: 0o600 });
    short.libvirt.switches(overlays);
  };
  assert.equal(reasonOf(await short.create()), "conflict SNAPSHOT_WITHOUT_MEMORY");
  assert.deepEqual(await short.files(), []);
});

test("the VM is as it is when the snapshot is taken: its memory, its devices, and its other snapshots", async (t) => {
  const grown = await memoryStage(t);
  const document = grown.on.context.domains.document.bind(grown.on.context.domains);
  const changed = (changes: object) => ({
    document: async (id: string, as?: "running" | "defined") => ({ ...(await document(id, as)), ...changes }),
  });
  Object.assign(grown.on.context.domains, changed({ memoryBytes: 96 * MIB }));
  await grown.create();
  assert.deepEqual(grown.libvirt.memoryBytes, [96 * MIB]);

  const held = await memoryStage(t);
  const { devices } = (await document(WorkStage.id)) ?? assert.fail();
  const hostDevices = [{ type: "pci", alias: "ua-pci-a" }];
  Object.assign(held.on.context.domains, changed({ devices: { ...devices, hostDevices } }));
  const end = await held.create();
  assert.equal(reasonOf(end), "conflict VM_HAS_HOST_DEVICES");
  assert.deepEqual([held.libvirt.takes, await held.files()], [0, []]);

  const full = await memoryStage(t);
  const other = (n: number) => ({
    ...{ id: `0000000${n}`, name: `other-${n}`, createdAtMs: 1, volumes: {} },
    memory: { directory: full.directory, file: `socle-${WorkStage.id}.0000000${n}.memory`, bytes: 1 },
  });
  const snapshots = [1, 2, 3, 4].map(other);
  full.on.note({ snapshots: JSON.stringify({ snapshots, active: {}, loose: [] }) });
  assert.equal(reasonOf(await full.create()), "exhausted SNAPSHOT_LIMIT_REACHED");
  assert.equal(full.libvirt.takes, 0);
  assert.throws(() => createSnapshot.admit?.(full.request, full.vm(), full.admission), {
    reason: "SNAPSHOT_LIMIT_REACHED",
  });
  const alone = { ...full.request, memory: false };
  assert.ok(createSnapshot.admit?.(alone, full.vm(), full.admission));
});

test("memory that libvirt writes is not deleted, and is once it has ended", async (t) => {
  const { on, libvirt, create, files, loose, outcome, admission, vm } = await memoryStage(t);
  libvirt.take = async (overlays, path) => {
    await writeFile(path, IMAGE, { mode: 0o600 });
    libvirt.switches(overlays);
  };
  await create();
  on.show();
  const intent = deleteSnapshot.admit?.({ snapshot: "one" }, vm(), admission) ?? assert.fail();
  libvirt.isUnderWay = true;
  const end = await outcome(deleteSnapshot.run(on.context, intent, on.run()));
  assert.equal(reasonOf(end), "outcome_unknown EFFECT_UNDER_WAY");
  assert.deepEqual([(await files()).length, loose().length], [1, 1]);
  libvirt.isUnderWay = false;
  assert.equal(reasonOf(await outcome(deleteSnapshot.run(on.context, intent, on.run({ done: [] })))), "done");
  assert.deepEqual([await files(), loose()], [[], []]);
});

test("a tenant without the permission, secrets, and a guest that is off are refused, without a path", async (t) => {
  const { on, admission, request, vm, directory } = await memoryStage(t);
  const admit = (more: object, by: object = {}) =>
    createSnapshot.admit?.({ ...request, ...more }, { ...vm(), ...by }, admission);
  for (const [work, reason] of [
    [
      () => createSnapshot.admit?.(request, vm(), { ...admission, byTenant: true }),
      "SNAPSHOT_MEMORY_NOT_ALLOWED",
    ],
    [() => admit({ quiesce: true }, { spec: { ...on.spec, guestAgent: true } }), "SPEC_INVALID"],
    [() => admit({}, { spec: { ...on.spec, launchSecurity: "sev" } }), "SNAPSHOT_MEMORY_NOT_ENCRYPTED"],
    [() => admit({}, { devices: [{}] }), "VM_HAS_HOST_DEVICES"],
    [() => admit({}, { isGrown: true }), "SNAPSHOT_MEMORY_GROWN"],
    [() => admit({}, { state: "stopped" }), "VM_STATE_CONFLICT"],
    [() => admit({ directory: undefined }), "SNAPSHOT_MEMORY_NOT_CONFIGURED"],
  ] as const)
    assert.throws(work, (thrown: unknown) => {
      const { reason: found, message } = toSocleError(thrown);
      assert.equal(found, reason);
      return !message.includes(directory);
    });
  await rm(directory, { recursive: true });
  const gone = await memoryStage(t);
  await rename(gone.directory, `${gone.directory}.away`);
  const end = await gone.create();
  assert.equal(reasonOf(end), "unavailable SNAPSHOT_MEMORY_UNREACHABLE");
  assert.ok(end instanceof SocleError && !end.message.includes(gone.directory));
  assert.deepEqual([gone.libvirt.takes, gone.hasLayer()], [0, false]);
  const told = await memoryStage(t);
  told.libvirt.take = (_overlays, path) =>
    Promise.reject(new SocleError("internal", "LIBVIRT_SYSTEM_ERROR", `cannot write ${path}: no space`));
  const failed = await told.create();
  assert.ok(failed instanceof SocleError && failed.reason === "LIBVIRT_SYSTEM_ERROR");
  assert.match(failed.message, /^cannot write the file of the memory.part: no space$/);
});

test("a refused snapshot is undone although its memory cannot be deleted, which stays noted", async (t) => {
  const { libvirt, disk, create, hasLayer, loose } = await memoryStage(t);
  libvirt.take = () => {
    disk.answers = false;
    return Promise.reject(new SocleError("internal", "LIBVIRT_OPERATION_FAILED", "no space left"));
  };
  assert.equal(reasonOf(await create()), "internal LIBVIRT_OPERATION_FAILED");
  assert.deepEqual([hasLayer(), loose().length], [false, 1]);
});
