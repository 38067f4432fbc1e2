import assert from "node:assert/strict";
import { test } from "node:test";
import { restoreDisk } from "../../../../agent/vm/operations/restore-disk.ts";
import { requireRestored, unstarted, unstartedOf } from "../../../../agent/vm/model/unstarted.ts";
import type { Vm } from "../../../../agent/vm/model/vm.ts";
import type { Admission } from "../../../../agent/vm/operations/definition.ts";
import { vm } from "../../../support/api/harness.ts";

const ID = "11111111-1111-4111-8111-111111111111";
const MIB = 2 ** 20;
const sha256 = "a".repeat(64);
type Source = Record<string, unknown>;

const withDisks = (sources: Record<string, Source>, changes: Partial<Vm> = {}): Vm => {
  const base = vm(ID);
  const disks = Object.entries(sources).map(([name, source]) => ({ name, readOnly: false, source }));
  const spec = { ...base.spec, id: ID, name: "web", disks } as unknown as Vm["spec"];
  return { ...base, state: "stopped", stateReason: "UNKNOWN", unstarted, ...(spec && { spec }), ...changes };
};
const plain: Source = { kind: "new", pool: "images", capacityBytes: 16 * MIB, format: "qcow2" };
const admit = (of: Vm, more: object = {}) =>
  restoreDisk.admit?.(
    { disk: "root", sha256, sizeBytes: MIB, upload: "u", moreDisks: [], ...more },
    of,
    {} as Admission,
  );

test("only plain disks of a VM that is off and has never started are restored", () => {
  const good = withDisks({ root: plain });
  assert.deepEqual(admit(good)?.volume, { pool: "images", volume: `socle-${ID}-root.qcow2` });
  const refused = (of: Vm, reason: string, more: object = {}): void =>
    assert.throws(() => admit(of, more), { reason }, reason);
  refused(withDisks({ root: plain }, { state: "running" }), "VM_STATE_CONFLICT");
  const { unstarted: _mark, ...hasStarted } = good;
  refused(hasStarted, "VM_HAS_STARTED");
  // libvirt knows of a run that another client began.
  refused(withDisks({ root: plain }, { stateReason: "DESTROYED" }), "VM_HAS_STARTED");
  refused(withDisks({ data: plain }), "DISK_NOT_FOUND");
  const volume = { kind: "volume", volume: { pool: "images", volume: "shared.qcow2" } };
  for (const source of [volume, { ...plain, baseVolume: "base.qcow2" }, { ...plain, format: "raw" }]) {
    refused(withDisks({ root: source }), "RESTORE_UNSUPPORTED");
    refused(withDisks({ root: plain, data: source }), "RESTORE_UNSUPPORTED", { moreDisks: ["data"] });
  }
  refused(good, "DISK_NOT_FOUND", { moreDisks: ["none"] });
  refused(good, "SPEC_INVALID", { sha256: "abc" });
  refused(good, "SPEC_INVALID", { sizeBytes: 0 });
  refused(good, "RESTORE_SIZE_INVALID", { sizeBytes: 64 * MIB });
  // The agent encrypts it, cluster by cluster.
  const sealed = withDisks({ root: { ...plain, encryption: "luks" } });
  assert.equal(admit(sealed)?.sizeBytes, MIB);
  refused(sealed, "IMAGE_FORMAT_MISMATCH", { sizeBytes: MIB + 1 });
});

test("the note of a restoration is read as it was written, or not at all", () => {
  assert.deepEqual(unstartedOf('{"restoring":["root"]}'), { restoring: ["root"] });
  for (const text of ["", "{}", '{"restoring":"root"}', '{"restoring":["../root"]}', "null"])
    assert.throws(() => unstartedOf(text), text);
  requireRestored({ name: "web", unstarted });
  assert.throws(() => requireRestored({ name: "web", unstarted: { restoring: ["root", "data"] } }), {
    reason: "VM_RESTORE_INCOMPLETE",
    message: /disk root, data of VM web/,
  });
});
