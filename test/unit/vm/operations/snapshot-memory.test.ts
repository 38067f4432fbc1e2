import assert from "node:assert/strict";
import { chmod, mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { SocleError, toSocleError } from "../../../../agent/kernel/errors.ts";
import type { Overlay } from "../../../../agent/vm/hypervisor/switch-xml.ts";
import { createSnapshot } from "../../../../agent/vm/operations/create-snapshot.ts";
import { deleteSnapshot } from "../../../../agent/vm/operations/delete-snapshot.ts";
import type { Admission, Result } from "../../../../agent/vm/operations/definition.ts";
import { revertSnapshot } from "../../../../agent/vm/operations/revert-snapshot.ts";
import type { WorkRun } from "../../../../agent/vm/operations/work.ts";
import { DumpDirectory } from "../../../../agent/vm/storage/dump-directory.ts";
import { folder } from "../../../support/state/folder.ts";
import { pathOf, root, WorkStage } from "../../../support/vm/work-stage.ts";

const MIB = 2 ** 20;
const first = { pool: "images", volume: `socle-${WorkStage.id}-root.qcow2` };
const XML = (vcpus: number): string =>
  `<domain type='qemu'><name>web</name><vcpu>${vcpus}</vcpu><devices/></domain>`;
const lostReply = new SocleError("unavailable", "EFFECT_NOT_OBSERVED", "no reply");

/** A running guest, and a libvirt that keeps its memory. `take`: what it does of that. */
async function stage(t: TestContext) {
  const directory = join(await folder(t), "memory");
  await mkdir(directory, { mode: 0o700 });
  await chmod(directory, 0o700);
  const on = new WorkStage([root]);
  on.state = "running";
  on.volumes.set(`images/${first.volume}`, 64 * MIB);
  on.files.set("root", pathOf(first));
  on.show();
  const space = { sizeBytes: 2 ** 40, usedBytes: 0, availableBytes: 2 ** 40, availableRatio: 1 };
  /** The file system answers. */
  const disk = { answers: true };
  const read = () =>
    Promise.resolve(
      disk.answers
        ? ({ kind: "read", value: space } as const)
        : ({ kind: "failed", reason: "hung", code: "timeout" } as const),
    );
  const dumps = new DumpDirectory(directory, { probe: { read }, sync: () => Promise.resolve() });
  const libvirt = {
    takes: 0,
    isUnderWay: false,
    isWhole: true,
    savedXml: XML(1),
    restores: 0,
    resumes: true,
    take: async (_overlays: readonly Overlay[], path: string): Promise<void> => {
      await writeFile(path, "memory", { mode: 0o600 });
    },
    switches: (overlays: readonly Overlay[]): void => {
      for (const { disk: name, path } of overlays) on.files.set(name, path);
    },
  };
  Object.assign(on.context, { dumps });
  const { domains } = on.context;
  const start = domains.start.bind(domains);
  Object.assign(on.context.domains, {
    memoryDumps: { hold: () => () => undefined },
    memorySnapshots: {
      take: async (_id: string, { overlays, path }: { overlays: readonly Overlay[]; path: string }) => {
        libvirt.takes += 1;
        await libvirt.take(overlays, path);
      },
      untilEnded: () => Promise.resolve(),
      isUnderWay: () => Promise.resolve(libvirt.isUnderWay),
      savedXml: () => Promise.resolve(libvirt.isWhole ? libvirt.savedXml : undefined),
    },
    definition: () => Promise.resolve(XML(1)),
    resume: () => {
      Object.assign(on, { state: "running", stateReason: "UNPAUSED" });
      return Promise.resolve();
    },
    start: (id: string, culprit: never, how: { memory?: { path: string; xml: string } }) => {
      if (how.memory !== undefined) libvirt.restores += 1;
      if (how.memory === undefined || libvirt.resumes) return start(id, culprit, how);
      Object.assign(on, { state: "paused", stateReason: "MIGRATION" });
      return Promise.reject(new SocleError("internal", "LIBVIRT_OPERATION_FAILED", "cont"));
    },
  });
  const vm = () => on.table.get(WorkStage.id) ?? assert.fail();
  const policy = { permissionsOf: () => ({ suspend: false }) };
  const admission = { creations: () => [], table: on.table, byTenant: false, policy } as unknown as Admission;
  const request = { name: "one", quiesce: false, memory: true, directory };
  const intent = createSnapshot.admit?.(request, vm(), admission) ?? assert.fail();
  const [layer = assert.fail()] = intent.layers;
  const outcome = async (work: Promise<Result>): Promise<SocleError | Result> =>
    await work.catch((thrown: unknown) => toSocleError(thrown));
  const create = (more: Partial<WorkRun> = {}) =>
    outcome(createSnapshot.run(on.context, intent, { ...on.run(), ...more }));
  const asked = { done: ["claim volumes", "make layers", "note that it runs"], cutOff: ["switch disks"] };
  return {
    ...{ on, directory, disk, libvirt, intent, admission, request, vm, create, outcome },
    again: () => create(on.run(asked)),
    layer: pathOf(layer),
    hasLayer: () => on.volumes.has(`images/${layer.volume}`),
    files: () => readdir(directory),
    kept: () => on.facts.snapshots?.snapshots.map(({ memory }) => memory?.bytes) ?? [],
    loose: () => on.facts.snapshots?.looseMemory ?? [],
  };
}

const noted = ({ memory }: { memory?: { directory: string; file: string } }) => ({
  looseMemory: memory === undefined ? [] : [{ directory: memory.directory, file: memory.file }],
});

const reasonOf = (end: SocleError | Result): string =>
  end instanceof SocleError ? `${end.kind} ${end.reason}` : "done";

test("memory and disks are kept together, and libvirt is asked once", async (t) => {
  const { on, libvirt, create, layer, files, kept, loose, intent } = await stage(t);
  libvirt.take = async (overlays, path) => {
    // Named before it exists.
    assert.equal(loose()[0]?.file, intent.memory?.file);
    await writeFile(path, "memory", { mode: 0o600 });
    libvirt.switches(overlays);
  };
  const end = await create();
  assert.equal(reasonOf(end), "done");
  assert.deepEqual(await files(), [intent.memory?.file]);
  assert.deepEqual([kept(), loose(), on.files.get("root"), libvirt.takes], [[6], [], layer, 1]);
});

test("whole memory stays while its directory does not answer, and is kept once it does", async (t) => {
  const { libvirt, disk, create, again, hasLayer, files, kept } = await stage(t);
  libvirt.take = async (overlays, path) => {
    await writeFile(path, "memory", { mode: 0o600 });
    libvirt.switches(overlays);
    disk.answers = false;
  };
  assert.equal(reasonOf(await create()), "outcome_unknown SNAPSHOT_MEMORY_UNREACHABLE");
  assert.equal((await files()).length, 1);
  assert.ok(hasLayer());
  assert.equal(reasonOf(await again()), "outcome_unknown SNAPSHOT_MEMORY_UNREACHABLE");
  disk.answers = true;
  assert.equal(reasonOf(await again()), "done");
  assert.deepEqual([kept(), libvirt.takes], [[6], 1]);
});

test("a lost reply without a switch is a plain failure: nothing is left", async (t) => {
  const { libvirt, create, hasLayer, files, kept, loose } = await stage(t);
  libvirt.take = async (_overlays, path) => {
    await writeFile(path, "memory", { mode: 0o600 });
    throw lostReply;
  };
  assert.equal(reasonOf(await create()), "unavailable EFFECT_NOT_OBSERVED");
  assert.deepEqual([await files(), kept(), loose(), hasLayer()], [[], [], [], false]);
});

test("the next run of an agent that died takes over what QEMU shows, and never asks libvirt again", async (t) => {
  const shown = await stage(t);
  shown.on.volumes.set(`images/${shown.layer.slice("/images/".length)}`, 64 * MIB);
  await writeFile(join(shown.directory, `${shown.intent.memory?.file ?? ""}.part`), "memory", {
    mode: 0o600,
  });
  shown.on.inQemu.set("root", shown.layer);
  assert.equal(reasonOf(await shown.again()), "done");
  assert.deepEqual([shown.kept(), shown.libvirt.takes], [[6], 0]);

  const lost = await stage(t);
  lost.on.volumes.set(`images/${lost.layer.slice("/images/".length)}`, 64 * MIB);
  assert.equal(reasonOf(await lost.again()), "conflict SNAPSHOT_NOT_TAKEN");
  assert.deepEqual([lost.kept(), lost.hasLayer(), lost.libvirt.takes], [[], false, 0]);

  // A QEMU that is not shown may write to the layer.
  const hidden = await stage(t);
  hidden.on.volumes.set(`images/${hidden.layer.slice("/images/".length)}`, 64 * MIB);
  Object.assign(hidden.on.context.domains.layers, { filesInQemu: () => Promise.resolve(new Map()) });
  assert.equal(reasonOf(await hidden.again()), "conflict SWITCH_IN_DOUBT");
  assert.ok(hidden.hasLayer());
  assert.equal(hidden.on.facts.snapshots?.loose[0]?.inDoubt, true);
});

test("whole memory is not kept if the guest may have run on after it, and has ended", async (t) => {
  const { on, layer, directory, intent, again, files, kept, libvirt } = await stage(t);
  on.volumes.set(`images/${layer.slice("/images/".length)}`, 64 * MIB);
  await writeFile(join(directory, `${intent.memory?.file ?? ""}.part`), "memory", { mode: 0o600 });
  on.note({ snapshots: JSON.stringify({ ...noted(intent), snapshots: [], active: {}, loose: [] }) });
  Object.assign(on, { state: "stopped" });
  on.show();
  assert.equal(reasonOf(await again()), "conflict SNAPSHOT_WITHOUT_MEMORY");
  assert.deepEqual([kept(), await files(), on.files.get("root"), libvirt.takes], [[undefined], [], layer, 0]);
});

test("switched disks whose memory is lost are a snapshot without memory, and its operation says so", async (t) => {
  const { on, libvirt, create, layer, files, kept, loose } = await stage(t);
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

test("a guest that libvirt left paused without a switch goes on, and another pause stays", async (t) => {
  for (const [stateReason, state] of [
    ["API_ERROR", "running"],
    ["SNAPSHOT", "running"],
    ["USER", "paused"],
    ["IOERROR", "paused"],
  ] as const) {
    const { on, libvirt, create, hasLayer } = await stage(t);
    libvirt.take = () => {
      Object.assign(on, { state: "paused", stateReason });
      return Promise.reject(new SocleError("internal", "LIBVIRT_OPERATION_FAILED", "no"));
    };
    assert.equal(reasonOf(await create()), "internal LIBVIRT_OPERATION_FAILED");
    assert.deepEqual([on.state, hasLayer()], [state, false]);
  }
});

test("memory that libvirt writes is not deleted, and is once it has ended", async (t) => {
  const { on, libvirt, create, files, loose, outcome, admission, vm } = await stage(t);
  libvirt.take = async (overlays, path) => {
    await writeFile(path, "memory", { mode: 0o600 });
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
  const { on, admission, request, vm, directory } = await stage(t);
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
    [() => admit({}, { state: "stopped" }), "VM_STATE_CONFLICT"],
    [() => admit({ directory: undefined }), "SNAPSHOT_MEMORY_NOT_CONFIGURED"],
  ] as const)
    assert.throws(work, (thrown: unknown) => {
      const { reason: found, message } = toSocleError(thrown);
      assert.equal(found, reason);
      return !message.includes(directory);
    });
  await rm(directory, { recursive: true });
  const gone = await stage(t);
  await rename(gone.directory, `${gone.directory}.away`);
  const end = await gone.create();
  assert.equal(reasonOf(end), "unavailable SNAPSHOT_MEMORY_UNREACHABLE");
  assert.ok(end instanceof SocleError && !end.message.includes(gone.directory));
  assert.deepEqual([gone.libvirt.takes, gone.hasLayer()], [0, false]);
  const told = await stage(t);
  told.libvirt.take = (_overlays, path) =>
    Promise.reject(new SocleError("internal", "LIBVIRT_SYSTEM_ERROR", `cannot write ${path}: no space`));
  const failed = await told.create();
  assert.ok(failed instanceof SocleError && failed.reason === "LIBVIRT_SYSTEM_ERROR");
  assert.match(failed.message, /^cannot write the file of the memory.part: no space$/);
});

test("a guest continues from memory once: an interrupted revert does not restore it again", async (t) => {
  const { on, libvirt, create, outcome, admission, vm } = await stage(t);
  libvirt.take = async (overlays, path) => {
    await writeFile(path, "memory", { mode: 0o600 });
    libvirt.switches(overlays);
  };
  await create();
  on.show();
  const request = { snapshot: "one", force: true };
  const differs = revertSnapshot.admit?.(request, vm(), admission) ?? assert.fail();
  libvirt.savedXml = XML(2);
  const refused = await outcome(revertSnapshot.run(on.context, differs, on.run()));
  assert.equal(reasonOf(refused), "conflict SNAPSHOT_VM_DIFFERS");
  assert.ok(!on.did.includes("destroy") && on.state === "running");
  libvirt.savedXml = XML(1);

  const intent = revertSnapshot.admit?.(request, vm(), admission) ?? assert.fail();
  assert.equal(reasonOf(await outcome(revertSnapshot.run(on.context, intent, on.run()))), "done");
  assert.deepEqual([libvirt.restores, on.state], [1, "running"]);
  // One that libvirt loads and does not resume goes on too.
  libvirt.resumes = false;
  const other = revertSnapshot.admit?.(request, vm(), admission) ?? assert.fail();
  assert.equal(reasonOf(await outcome(revertSnapshot.run(on.context, other, on.run()))), "done");
  assert.deepEqual([libvirt.restores, on.state], [2, "running"]);
  // The agent died after it asked; the guest has run since, and is off.
  on.state = "stopped";
  on.show();
  const done = [
    "claim volumes",
    "make layers",
    "pull plug",
    "switch disks",
    "write snapshot",
    "note that it continues",
  ];
  const end = await outcome(revertSnapshot.run(on.context, other, on.run({ done, cutOff: ["start"] })));
  assert.equal(reasonOf(end), "conflict VM_NOT_STARTED");
  assert.deepEqual([libvirt.restores, on.state], [2, "stopped"]);
});
