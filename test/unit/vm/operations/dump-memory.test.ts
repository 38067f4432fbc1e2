import assert from "node:assert/strict";
import { chmod, readdir } from "node:fs/promises";
import { test } from "node:test";
import { SocleError, toSocleError } from "../../../../agent/kernel/errors.ts";
import { dumpMemory } from "../../../../agent/vm/operations/dump-memory.ts";
import type { Admission } from "../../../../agent/vm/operations/definition.ts";
import { DumpDirectory } from "../../../../agent/vm/storage/dump-directory.ts";
import { folder } from "../../../support/state/folder.ts";
import { root, WorkStage } from "../../../support/vm/work-stage.ts";
import { storedText } from "../../../../agent/vm/model/stored-spec.ts";
import type { Vm } from "../../../../agent/vm/model/vm.ts";
import { methods } from "../../../../agent/contract/methods.ts";

const disk = {
  name: "root",
  source: { kind: "new", pool: "p", format: "qcow2", encryption: "luks" },
  readOnly: false,
};
const admit = (spec: object, allowEncrypted: boolean, byTenant = false) =>
  dumpMemory.admit?.(
    { format: "elf", allowEncrypted, directory: "/dumps" },
    // The admission reads the name and the spec alone.
    { name: "web", spec: { disks: [], ...spec } } as unknown as Vm,
    { byTenant } as Admission,
  );

test("a dump is audited with its place, and without a volume only the provider's operators may have one", () => {
  const { audit = [] } = methods["/socle.v1.VmService/DumpMemory"] ?? {};
  for (const field of ["allowEncrypted", "volume.pool", "volume.name"])
    assert.ok(audit.includes(field), field);
  assert.throws(() => admit({}, false, true), { kind: "denied", reason: "DUMP_DENIED" });
});

test("the data of encrypted disks is dumped only if that is allowed, and encrypted memory never", () => {
  assert.deepEqual(admit({}, false), {
    format: "elf",
    name: "web",
    directory: "/dumps",
    allowEncrypted: false,
  });
  for (const spec of [{ disks: [disk] }, { tpm: true }]) {
    assert.throws(() => admit(spec, false), { reason: "DUMP_NOT_ENCRYPTED", message: /--allow-encrypted/ });
    assert.ok(admit(spec, true));
  }
  for (const allow of [false, true])
    assert.throws(() => admit({ launchSecurity: "sev" }, allow), { reason: "DUMP_UNSUPPORTED" });
});

test("a disk whose encryption came after the admission is looked at again, before anything is written", async (t) => {
  const on = new WorkStage([root]);
  const directory = await folder(t);
  await chmod(directory, 0o700);
  const dumps = new DumpDirectory(directory);
  const dump = (allowEncrypted: boolean): Promise<string> =>
    dumpMemory
      .run({ ...on.context, dumps }, { format: "elf", name: "web", directory, allowEncrypted }, on.run())
      .then(
        () => "none",
        (thrown: unknown) => toSocleError(thrown).reason,
      );
  on.note(storedText({ ...on.spec, tpm: true }));
  assert.equal(await dump(false), "DUMP_NOT_ENCRYPTED");
  assert.notEqual(await dump(true), "DUMP_NOT_ENCRYPTED");
  assert.deepEqual(await readdir(directory), []);
});

test("no memory is dumped beside an open backup", () => {
  assert.equal(dumpMemory.notDuringBackup, "any");
});

test("a dump that libvirt may still be writing keeps its room, until its end is known", async (t) => {
  const on = new WorkStage([root]);
  Object.assign(on, { state: "running" }).show();
  const directory = await folder(t);
  await chmod(directory, 0o700);
  const GIB = 2 ** 30;
  const space = { sizeBytes: GIB, usedBytes: 0, availableBytes: 3 * GIB, availableRatio: 1 };
  const dumps = new DumpDirectory(directory, {
    probe: { read: () => Promise.resolve({ kind: "read", value: space }) },
  });
  let isUnderWay = true;
  const memoryDumps = {
    write: () => Promise.reject(new SocleError("outcome_unknown", "EFFECT_UNDER_WAY", "it is writing")),
    isUnderWay: () => Promise.resolve(isUnderWay),
  };
  Object.assign(on.context.domains, { memoryDumps });
  const dump = (run: object): Promise<string> =>
    dumpMemory
      .run(
        { ...on.context, dumps },
        { format: "elf", name: "web", directory, allowEncrypted: false },
        { ...on.run(), ...run },
      )
      .then(
        () => "none",
        (thrown: unknown) => toSocleError(thrown).reason,
      );
  assert.equal(await dump({}), "EFFECT_UNDER_WAY");
  await assert.rejects(dumps.requireRoom(GIB), { reason: "DUMP_NO_SPACE" });
  assert.equal(await dump(on.run({ done: [] })), "EFFECT_UNDER_WAY");
  await assert.rejects(dumps.requireRoom(GIB), { reason: "DUMP_NO_SPACE" });
  isUnderWay = false;
  assert.equal(await dump(on.run({ done: [] })), "INTERRUPTED");
  await dumps.requireRoom(GIB);
});
