import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import type { Dependents } from "../../../../agent/vm/storage/overlay-search.ts";
import { deleteVm, type DeleteIntent } from "../../../../agent/vm/operations/delete.ts";
import type { VmSpec } from "../../../../agent/contract/spec.ts";
import type { Vm } from "../../../../agent/vm/model/vm.ts";
import { noOtherNames } from "../../../../agent/vm/storage/storage-names.ts";
import { vmFromDomain } from "../../../../agent/vm/observation/vm-from-domain.ts";
import { VmTable } from "../../../../agent/vm/observation/vm-table.ts";
import { requireUnused } from "../../../../agent/vm/storage/volume-users.ts";
import type { RunContext } from "../../../../agent/vm/operations/work.ts";
import { steps } from "../../../support/vm/steps.ts";
import { parseVmDomain } from "../../../../agent/vm/model/vm-domain.ts";

const A = "aaaaaaaa-0000-4000-8000-000000000000";
const B = "bbbbbbbb-0000-4000-8000-000000000000";
const root = { pool: "p", volume: `socle-${A}-root.qcow2` };
const overlayOfB = { pool: "p", volume: `socle-${B}-root.qcow2` };
const nothing: Dependents = { paths: [], overlays: [], backings: [] };

const specOf = (id: string, name: string, source: unknown): VmSpec =>
  ({ id, name, disks: [{ name: "root", source, readOnly: false }] }) as unknown as VmSpec;
const overlay = specOf(B, "b", { kind: "new", pool: "p", format: "qcow2", baseVolume: root.volume });
const attached = specOf(B, "b", { kind: "volume", volume: root });
const stranger = specOf(B, "b", { kind: "volume", volume: { pool: "other", volume: root.volume } });
const vmOf = (id: string, name: string, more: Partial<Vm> = {}): Vm =>
  ({
    id,
    name,
    presence: "present",
    state: "stopped",
    etag: name,
    disks: [],
    nics: [],
    ...more,
  }) as unknown as Vm;
const a = vmOf(A, "a", { spec: specOf(A, "a", { kind: "new", pool: "p", format: "qcow2" }) });

const refusal = (
  vms: readonly Vm[],
  creations: readonly VmSpec[] = [],
  dependents: Parameters<typeof requireUnused>[3] = nothing,
): string => {
  try {
    requireUnused(A, [root], { vms: [a, ...vms], creations }, dependents);
    return "";
  } catch (thrown) {
    assert.ok(thrown instanceof SocleError);
    const { kind, reason, message } = thrown;
    assert.equal(`${kind} ${reason}`, "conflict VOLUME_IN_USE");
    return message;
  }
};

test("a disk that another VM overlays, has attached or is about to attach is kept, and the VM is named", () => {
  assert.equal(refusal([vmOf(B, "b", { spec: stranger })]), "");
  assert.match(refusal([vmOf(B, "b", { spec: overlay })]), /in use by VM b: .*keep_disks/);
  assert.match(refusal([vmOf(B, "b", { spec: attached })]), /in use by VM b:/);
  assert.match(refusal([], [overlay]), /VM b \(being created\):/);
});

test("a disk that an unmanaged domain has open, or that has a kept overlay, is not deleted", () => {
  const foreign = vmOf(B, "foreign", { disks: [{ device: "vda", path: "/p/root" }] });
  assert.match(refusal([foreign], [], { paths: ["/p/root"], overlays: [] }), /VM foreign:/);
  assert.equal(refusal([foreign], [], { paths: ["/p/other"], overlays: [] }), "");
  assert.match(refusal([], [], { paths: [], overlays: [overlayOfB] }), /volume socle-b.*, an overlay:/);
  const named = refusal([vmOf(B, "b", { spec: overlay })], [], { paths: [], overlays: [overlayOfB] });
  assert.match(named, /in use by VM b: /);
});

test("a disk below a running domain's image or a block job's target is in use", () => {
  const backing = (path: string, next = "<backingStore/>"): string =>
    `<backingStore type="file"><format type="qcow2"/><source file="${path}"/>${next}</backingStore>`;
  const running = (disk: string): Vm =>
    vmFromDomain(
      parseVmDomain(
        `<domain type="qemu"><name>foreign</name><uuid>${B}</uuid><memory>1024</memory><vcpu>1</vcpu><os><type>hvm</type></os>` +
          `<devices><disk type="file"><source file="/clones/c"/><target dev="vda"/>${disk}</disk></devices></domain>`,
      ),
      { state: "running", stateReason: "", observedAtMs: 1 },
    );
  const at = { paths: ["/p/root"], overlays: [] };
  assert.equal(refusal([running(backing("/p/other"))], [], at), "");
  assert.match(refusal([running(backing("/p/root"))], [], at), /in use by VM foreign:/);
  assert.match(refusal([running(backing("/p/middle", backing("/p/root")))], [], at), /in use by VM foreign:/);
  const mirror = `<mirror type="file" job="copy"><format type="qcow2"/><source file="/p/root"/></mirror>`;
  assert.match(refusal([running(mirror)], [], at), /in use by VM foreign:/);
});

test("a user that appears while a deletion waits is found before the guest is stopped or a key destroyed", async () => {
  const table = new VmTable();
  table.put(a);
  table.put(vmOf(B, "b", { spec: overlay }));
  table.completed(1);
  const erase = { name: "a", tenant: "", disks: [], tpm: true, kept: [] };
  const intent: DeleteIntent = { volumes: [root], force: true, erase };
  const begun: string[] = [];
  const step = steps((name) => begun.push(name));
  // The work would fail on anything that is missing here.
  const context = {
    table,
    creations: () => [],
    domains: {
      state: () => Promise.resolve({ state: "running" }),
      document: () => Promise.resolve(undefined),
      stamps: { origin: () => Promise.resolve({ isManaged: true, createdAtMs: 0 }) },
    },
    volumes: {
      dependents: () => Promise.resolve(nothing),
      names: { of: () => Promise.resolve(noOtherNames) },
    },
  } as unknown as RunContext;
  const signal = new AbortController().signal;
  const run = {
    operationId: "0193a0c0-0000-7000-8000-000000000001",
    vmId: A,
    caller: "caller",
    instance: undefined,
    createdAtMs: 0,
    step,
    signal,
    hasEnded: () => false,
    resumed: false,
    done: new Set<string>(),
  };
  await assert.rejects(deleteVm.run(context, intent, run), { reason: "VOLUME_IN_USE" });
  assert.deepEqual(begun, ["look for users"]);
});
