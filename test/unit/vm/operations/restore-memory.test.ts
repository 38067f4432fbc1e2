import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { test, type TestContext } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { revertSnapshot } from "../../../../agent/vm/operations/revert-snapshot.ts";
import { noteMemory } from "../../../../agent/vm/operations/snapshot-memory.ts";
import { rewriteSnapshots } from "../../../../agent/vm/operations/spec-change.ts";
import { storedText } from "../../../../agent/vm/model/stored-spec.ts";
import { pathOf } from "../../../support/vm/work-stage.ts";
import { IMAGE, memoryStage, reasonOf, XML } from "../../../support/vm/memory-stage.ts";

/** The steps of a revert whose agent died after it had stopped the guest. */
const DIED = ["claim volumes", "make layers", "mark run", "pull plug"];

test("a refused restore leaves the VM with the disks that it had, and an unknown one is looked at again", async (t) => {
  const { on, libvirt, outcome, admission, vm } = await kept(t);
  const request = { snapshot: "one", force: true };
  const revert = () =>
    outcome(
      revertSnapshot.run(
        on.context,
        revertSnapshot.admit?.(request, vm(), admission) ?? assert.fail(),
        on.run(),
      ),
    );
  const [before, volumes] = [on.files.get("root"), [...on.volumes.keys()]];
  libvirt.refusal = new SocleError("conflict", "LIBVIRT_CONFIG_UNSUPPORTED", "Target CPU does not match");
  const refused = await revert();
  assert.equal(reasonOf(refused), "conflict SNAPSHOT_MEMORY_NOT_RESTORED");
  assert.match(refused instanceof SocleError ? refused.message : "", /CPU does not match\. .*discard_memory/);
  assert.deepEqual([on.state, on.files.get("root"), [...on.volumes.keys()]], ["running", before, volumes]);
  libvirt.refusal = undefined;
  assert.equal(reasonOf(await revert()), "done");
  assert.equal(on.state, "running");
  assert.notEqual(on.files.get("root"), before);
  assert.equal(on.defined.get("root"), on.files.get("root"));
  libvirt.refusal = new SocleError("unavailable", "EFFECT_NOT_OBSERVED", "no reply");
  libvirt.isLostAfter = true;
  assert.equal(reasonOf(await revert()), "outcome_unknown LIBVIRT_OUTCOME_UNKNOWN");
});

test("a revert without a way to keep the VM's memory names the way out of a revert", async (t) => {
  const { admission, vm } = await kept(t);
  const request = { snapshot: "one", force: true };
  assert.throws(
    () => revertSnapshot.admit?.(request, { ...vm(), devices: ["0000:3b:00.0"] }, admission),
    /discard_memory, --discard-memory/,
  );
});

test("a guest continues from memory once: an interrupted revert does not restore it again", async (t) => {
  const { on, libvirt, outcome, admission, vm } = await kept(t);
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
  const third = revertSnapshot.admit?.(request, vm(), admission) ?? assert.fail();
  const died = [...DIED, "note that it continues"];
  for (const layer of third.layers) on.volumes.set(`${layer.pool}/${layer.volume}`, layer.capacityBytes);
  on.state = "stopped";
  on.show();
  const end = await outcome(revertSnapshot.run(on.context, third, on.run({ done: died, cutOff: ["start"] })));
  assert.equal(reasonOf(end), "conflict VM_NOT_STARTED");
  assert.deepEqual([libvirt.restores, on.state], [2, "stopped"]);
});

/** A guest with a snapshot with memory, and a revert to it. */
async function kept(t: TestContext) {
  const stage = await memoryStage(t);
  const { on, libvirt, create, admission, vm } = stage;
  libvirt.take = async (overlays, path) => {
    await writeFile(path, IMAGE, { mode: 0o600 });
    libvirt.switches(overlays);
  };
  await create();
  on.show();
  const intent = revertSnapshot.admit?.({ snapshot: "one", force: true }, vm(), admission) ?? assert.fail();
  return { ...stage, intent };
}

/** A revert whose agent died. `asked`: libvirt may have been asked for the restore. */
async function interrupted(t: TestContext, { asked = false } = {}) {
  const stage = await kept(t);
  const { on, outcome, intent } = stage;
  const [layer = assert.fail()] = intent.layers;
  const key = `${layer.pool}/${layer.volume}`;
  on.volumes.set(key, layer.capacityBytes);
  const done = [...DIED];
  if (asked) done.push("note that it continues");
  // Another run of the guest than the one that the operation has ended.
  on.mark = undefined;
  const again = () =>
    outcome(revertSnapshot.run(on.context, intent, on.run({ done, cutOff: ["start"] }))).then(reasonOf);
  return { ...stage, again, key, layer: pathOf(layer), old: on.files.get("root") ?? assert.fail() };
}

test("memory is not restored over disks with which another client has started the VM", async (t) => {
  const { on, libvirt, again, key, old } = await interrupted(t);
  assert.equal(await again(), "conflict SNAPSHOT_MEMORY_NOT_RESTORED");
  assert.deepEqual([libvirt.restores, on.state, on.files.get("root")], [0, "running", old]);
  assert.ok(!on.volumes.has(key));

  const late = await interrupted(t);
  Object.assign(late.on, { state: "stopped" });
  late.on.show();
  // Between the last look and the restore.
  late.libvirt.isFirst = false;
  assert.equal(await late.again(), "conflict SNAPSHOT_MEMORY_NOT_RESTORED");
  assert.deepEqual([late.on.state, late.on.files.get("root")], ["running", late.old]);
});

test("a guest that continues is known by its disks, and its definition gets them", async (t) => {
  const { on, libvirt, again, layer, old } = await interrupted(t, { asked: true });
  on.files.set("root", layer);
  on.defined.set("root", old);
  assert.equal(await again(), "done");
  assert.deepEqual([libvirt.restores, on.state], [0, "running"]);
  assert.deepEqual([on.files.get("root"), on.defined.get("root")], [layer, layer]);
});

test("layers that a guest may have written to stay, if another client has started the VM with its old disks", async (t) => {
  const { on, libvirt, again, key, old } = await interrupted(t, { asked: true });
  assert.equal(await again(), "conflict SNAPSHOT_MEMORY_NOT_RESTORED");
  assert.deepEqual([libvirt.restores, on.state, on.files.get("root")], [0, "running", old]);
  assert.ok(on.volumes.has(key));
  assert.deepEqual(
    on.facts.snapshots?.loose.map(({ inDoubt }) => inDoubt),
    [true],
  );
});

test("a lost reply is no refusal: the layers stay for the next run, which decides it once", async (t) => {
  const { on, libvirt, outcome, intent } = await kept(t);
  const [layer = assert.fail()] = intent.layers;
  // The guest has ended before libvirt was back.
  libvirt.refusal = new SocleError("unavailable", "EFFECT_NOT_OBSERVED", "no reply");
  const revert = (more = {}) => outcome(revertSnapshot.run(on.context, intent, on.run(more))).then(reasonOf);
  assert.match(await revert(), /^outcome_unknown/);
  const volumes = () => [on.volumes.has(`${layer.pool}/${layer.volume}`), on.state];
  assert.deepEqual(volumes(), [true, "stopped"]);
  const done = [...DIED, "note that it continues"];
  // Another client boots it from the layers once the definition names them.
  const decided = [...done, "note that it does not continue"];
  on.files.set("root", pathOf(layer));
  Object.assign(on, { state: "running", stateReason: "BOOTED" });
  assert.equal(await revert({ done: decided, cutOff: ["start"] }), "conflict VM_NOT_STARTED");
  assert.deepEqual([libvirt.restores, ...volumes()], [1, true, "running"]);
});

test("a guest that another client has booted does not count as restored", async (t) => {
  const { on, libvirt, again } = await interrupted(t);
  Object.assign(on, { state: "stopped" });
  on.show();
  libvirt.reason = "BOOTED";
  assert.equal(await again(), "conflict VM_NOT_STARTED");
});

test("layers that the record names as active are not noted as left, whatever the end of the next run", async (t) => {
  const { on, outcome, intent } = await kept(t);
  const revert = (run = on.run()) => outcome(revertSnapshot.run(on.context, intent, run));
  assert.equal(reasonOf(await revert()), "done");
  const recorded = [...DIED, "note that it continues", "note that it does not continue", "write snapshot"];
  const run = on.run({ done: recorded, cutOff: ["delete volumes"] });
  for (const end of [await revert(run), await revert({ ...run, signal: AbortSignal.abort() })]) {
    assert.equal(reasonOf(end), "conflict VM_NOT_STARTED");
    assert.match(
      end instanceof SocleError ? end.message : "",
      /runs with the disks of snapshot one, and may have booted/,
    );
  }
  assert.deepEqual(on.facts.snapshots?.loose, []);
  assert.ok(intent.layers.every(({ pool, volume }) => on.volumes.has(`${pool}/${volume}`)));
});

test("a libvirt without the memory for the guest has refused it: its error stays, and the disks", async (t) => {
  const { on, libvirt, again, key, old } = await interrupted(t);
  Object.assign(on, { state: "stopped" });
  on.show();
  libvirt.refusal = new SocleError("exhausted", "LIBVIRT_NO_MEMORY", "cannot set up guest memory");
  assert.equal(await again(), "exhausted LIBVIRT_NO_MEMORY");
  assert.deepEqual([on.volumes.has(key), on.files.get("root")], [false, old]);
});

test("a VM that was removed after libvirt was asked ends the revert, and its layers stay", async (t) => {
  const { on, again, key } = await interrupted(t, { asked: true });
  const gone = (): Promise<undefined> => Promise.resolve(undefined);
  Object.assign(on.context.domains, { state: gone, settledState: gone, steadyState: gone, document: gone });
  assert.match(await again(), /^not_found VM_NOT_FOUND/);
  assert.ok(on.volumes.has(key));
});

test("a guest that continued and has ended since leaves nothing to thaw: the revert ends", async (t) => {
  const { on, outcome, intent } = await kept(t);
  on.note(storedText({ ...on.spec, guestAgent: true }));
  for (const layer of intent.layers) on.volumes.set(`${layer.pool}/${layer.volume}`, layer.capacityBytes);
  Object.assign(on, { state: "stopped" });
  on.show();
  const done = [...DIED, "note that it continues", "note that it continued"];
  const end = await outcome(revertSnapshot.run(on.context, intent, on.run({ done, cutOff: ["start"] })));
  assert.equal(reasonOf(end), "done", end instanceof SocleError ? end.message : "");
});

test("a revert ends although old memory cannot be deleted, which stays noted", async (t) => {
  const { on, disk, outcome, admission, vm, directory, loose } = await kept(t);
  const file = `socle-${on.spec.id}.0a0a0a0a.memory`;
  await rewriteSnapshots(on.context, on.spec.id, (now) => noteMemory(now, { directory, file }));
  on.show();
  disk.answers = false;
  const request = { snapshot: "one", force: true, discardMemory: true };
  const intent = revertSnapshot.admit?.(request, vm(), admission) ?? assert.fail();
  assert.equal(reasonOf(await outcome(revertSnapshot.run(on.context, intent, on.run()))), "done");
  assert.deepEqual(
    loose().map((each) => each.file),
    [file],
  );
});

test("a QEMU that crashed may have resumed the guest: its layers stay", async (t) => {
  const { on, libvirt, again, key } = await interrupted(t);
  Object.assign(on, { state: "stopped", stateReason: "DESTROYED" });
  on.show();
  libvirt.refusal = new SocleError("internal", "LIBVIRT_OPERATION_FAILED", "failed to resume domain");
  const { domains } = on.context;
  const start = domains.start.bind(domains);
  const crash = (...args: Parameters<typeof start>) => {
    Object.assign(on, { stateReason: "CRASHED" });
    return start(...args);
  };
  Object.assign(domains, { start: crash });
  assert.match(await again(), /^outcome_unknown/);
  assert.ok(on.volumes.has(key));
  // It had crashed before, so that no QEMU has run since.
  const other = await interrupted(t);
  Object.assign(other.on, { state: "stopped", stateReason: "CRASHED" });
  other.on.show();
  other.libvirt.refusal = libvirt.refusal;
  assert.equal(await other.again(), "conflict SNAPSHOT_MEMORY_NOT_RESTORED");
  assert.ok(!other.on.volumes.has(other.key));
});
