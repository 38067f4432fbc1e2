import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import {
  domainGetBlockJobInfo,
  domainMonitorCommand,
  domainSnapshotCreateXml,
  domainUpdateDeviceFlags,
  type Procedure,
} from "../../../../agent/libvirt/index.ts";
import { noDevices, type Disk } from "../../../../agent/libvirt/xml/index.ts";
import { DomainLayers } from "../../../../agent/vm/hypervisor/domain-layers.ts";
import type { VmDomain } from "../../../../agent/vm/model/vm-domain.ts";
import { blocksOf } from "../../../support/vm/qemu-answers.ts";
import { silent, sleepingClock } from "../../../support/vm/libvirt-answers.ts";

const ID = "6f1c2f1e-0000-4000-8000-000000000001";
const disk: Disk = {
  device: "disk",
  alias: "ua-disk-root",
  source: { type: "file", path: "/pool/root.qcow2" },
  format: "qcow2",
  target: { device: "vda", bus: "virtio" },
};
const overlays = [{ disk: "root", path: "/pool/layer.qcow2" }];
const lost = () => new SocleError("outcome_unknown", "LIBVIRT_DISCONNECTED", "the answer was lost");
const refused = () => new SocleError("internal", "LIBVIRT_INTERNAL_ERROR", "QEMU refused the switch");
const taken = (number: number) =>
  new SocleError(
    "internal",
    "LIBVIRT_INTERNAL_ERROR",
    `Duplicate nodes with node-name='libvirt-${number}-format'`,
  );
const never = () => assert.fail("libvirt was asked again");

/** A domain whose XML never shows a switch. `answers`: of libvirt to the requests for one. */
function layers(
  answers: readonly (() => SocleError)[],
  state: "running" | "stopped" = "running",
  defined: readonly Disk[] = [disk],
  /** The XML of the disks that libvirt was asked to define. */
  updates: string[] = [],
  inQemu: string | SocleError = "/pool/root.qcow2",
) {
  const left = [...answers];
  const calls = {
    call: <A, R>(procedure: Procedure<A, R>, args: A): Promise<R> => {
      if (procedure.name === domainUpdateDeviceFlags.name) updates.push((args as { xml: string }).xml);
      if (procedure.name === domainGetBlockJobInfo.name) return Promise.resolve({ found: false } as R);
      if (procedure.name === domainMonitorCommand.name)
        return typeof inQemu === "string"
          ? Promise.resolve({ result: blocksOf({ root: inQemu }) } as R)
          : Promise.reject(inQemu);
      const failure = procedure.name === domainSnapshotCreateXml.name ? left.shift()?.() : undefined;
      return failure === undefined ? Promise.resolve(undefined as R) : Promise.reject(failure);
    },
    ...silent(),
  };
  const document: VmDomain = {
    type: "kvm",
    name: "web-1",
    uuid: ID,
    memoryBytes: 2 ** 20,
    vcpus: { max: 1, current: 1 },
    os: { type: "hvm" },
    devices: { ...noDevices, disks: [disk] },
  };
  return new DomainLayers(calls, sleepingClock(), {
    state: () => Promise.resolve({ state }),
    document: (_id, as) =>
      Promise.resolve(
        as === "defined" ? { ...document, devices: { ...noDevices, disks: defined } } : document,
      ),
  });
}

test("a switch whose answer was lost, and that is then refused, is in doubt for a running guest alone", async () => {
  const inDoubt = { reason: "SWITCH_IN_DOUBT", message: /\/pool\/layer\.qcow2/ };
  const asRefused = { reason: "LIBVIRT_INTERNAL_ERROR" };
  await assert.rejects(layers([lost, refused]).switchTo(ID, overlays), inDoubt);
  const asked = { mayBe: true, isSameRun: () => Promise.resolve(true) };
  await assert.rejects(layers([refused]).switchTo(ID, overlays, asked), inDoubt);
  await assert.rejects(layers([refused, never]).switchTo(ID, overlays), asRefused);
  await assert.rejects(layers([lost, refused], "stopped").switchTo(ID, overlays), asRefused);
});

test("a switch passes block nodes that a libvirt which died left in QEMU, unless it may have been asked for before", async () => {
  const nodes = Array.from({ length: 9 }, (_, number) => () => taken(number));
  await layers(nodes).switchTo(ID, overlays);
  await assert.rejects(layers([lost, refused, never]).switchTo(ID, overlays), { reason: "SWITCH_IN_DOUBT" });
});

test("a switch that libvirt lost is made if QEMU shows it, and the next start uses the layers", async () => {
  const updates: string[] = [];
  await layers([lost, refused], "running", [disk], updates, "/pool/layer.qcow2").switchTo(ID, overlays);
  assert.match(updates.join(), /<source file="\/pool\/layer\.qcow2"/);
});

test("a switch that libvirt lost stays unknown while QEMU does not answer, and is not requested again if it did", async () => {
  const silent = new SocleError("exhausted", "LIBVIRT_QUEUE_FULL", "too many calls");
  const asked = { mayBe: true, isSameRun: () => Promise.resolve(true) };
  const unknown = { kind: "outcome_unknown", reason: "SWITCH_NOT_SHOWN" };
  await assert.rejects(
    layers([lost, refused], "running", [disk], [], silent).switchTo(ID, overlays),
    unknown,
  );
  const never = () => assert.fail("libvirt was asked");
  await assert.rejects(layers([never], "running", [disk], [], silent).switchTo(ID, overlays, asked), unknown);
  const made = layers([never], "running", [disk], [], "/pool/layer.qcow2");
  await made.switchTo(ID, overlays, asked);
  assert.deepEqual([...(await made.inUse(ID))].sort(), ["/pool/layer.qcow2", "/pool/root.qcow2"]);
});

test("a layer that an earlier run of the guest may have written to is put over no other run of it", async () => {
  const inDoubt = { reason: "SWITCH_IN_DOUBT", message: /another client started it.*\/pool\/layer\.qcow2/ };
  const asked = (mayBe: boolean) => ({ mayBe, isSameRun: () => Promise.resolve(false) });
  const never = () => assert.fail("libvirt was asked");
  await assert.rejects(layers([never]).switchTo(ID, overlays, asked(true)), inDoubt);
  // The answer to this run's request was lost, and the guest stopped.
  await assert.rejects(layers([lost, never]).switchTo(ID, overlays, asked(false)), inDoubt);
  // No request was made before, or no guest runs.
  const asRefused = { reason: "LIBVIRT_INTERNAL_ERROR" };
  await assert.rejects(layers([refused, never]).switchTo(ID, overlays, asked(false)), asRefused);
  await assert.rejects(layers([refused], "stopped").switchTo(ID, overlays, asked(true)), asRefused);
});

test("a copied disk that the definition has lost is switched: there is nothing to record", async () => {
  const to = { path: "/pool/root.qcow2", format: "qcow2" } as const;
  const watch = { report: () => undefined, aborted: new AbortController().signal };
  await layers([], "running", []).copy(ID, "root", to, watch);
});

test("a guest that writes to the file below is defined with it, also if libvirt died before that", async () => {
  const top: Disk = {
    ...disk,
    source: { type: "file", path: "/pool/layer.qcow2" },
    format: "qcow2",
    backingChain: [{ format: "qcow2", source: { type: "file", path: "/pool/root.qcow2" } }],
  };
  const files = { top: "/pool/layer.qcow2", base: "/pool/root.qcow2" };
  const watch = { report: () => undefined, aborted: new AbortController().signal };
  const updates: string[] = [];
  await layers([], "running", [top], updates).merge(ID, "root", files, watch);
  assert.match(updates.join(), /<source file="\/pool\/root\.qcow2"/);
  assert.doesNotMatch(updates.join(), /layer/);
  const none: string[] = [];
  await layers([], "running", [disk], none).merge(ID, "root", files, watch);
  assert.deepEqual(none, []);
});

/** A domain whose running guest and definition use these files; records the disks that are written to the definition. */
function shown(
  files: { running: string; below?: string; defined: string; mirror?: string; inQemu?: string },
  hasJob = false,
) {
  const written: string[] = [];
  const calls = {
    call: <A, R>(procedure: Procedure<A, R>, args: A): Promise<R> => {
      if (procedure.name === domainGetBlockJobInfo.name)
        return Promise.resolve({ found: hasJob, cur: 1, end: 1 } as R);
      if (procedure.name === domainMonitorCommand.name)
        return Promise.resolve({ result: blocksOf({ root: files.inQemu ?? files.running }) } as R);
      assert.equal(procedure.name, domainUpdateDeviceFlags.name, "nothing else is asked");
      const { xml, flags } = args as { xml: string; flags: number };
      assert.equal(flags, 2, "the definition alone");
      written.push(xml);
      files.defined = /file="([^"]+)"/.exec(xml)?.[1] ?? assert.fail(xml);
      return Promise.resolve(undefined as R);
    },
    ...silent(),
  };
  const mirror = files.mirror === undefined ? {} : { mirror: { type: "file", path: files.mirror } as const };
  const diskOf = (path: string): Disk => ({ ...disk, ...mirror, source: { type: "file", path } });
  const document = (as: "running" | "defined") => {
    const below =
      as === "running" && files.below !== undefined
        ? { backingChain: [{ source: { type: "file", path: files.below } as const }] }
        : {};
    return { devices: { ...noDevices, disks: [{ ...diskOf(files[as]), ...below }] } } as unknown as VmDomain;
  };
  return {
    written,
    layers: new DomainLayers(calls, sleepingClock(), {
      state: () => Promise.resolve({ state: "running" }),
      document: (_id, as) => Promise.resolve(document(as)),
    }),
  };
}

test("a definition that lost the switch of a running guest is written, and one with a foreign file is not", async () => {
  const files = { running: "/pool/layer.qcow2", below: "/pool/root.qcow2", defined: "/pool/root.qcow2" };
  const on = shown(files);
  await on.layers.switchTo(ID, overlays);
  assert.equal(files.defined, "/pool/layer.qcow2");
  assert.match(on.written.join(), /type="qcow2"/);
  await on.layers.switchTo(ID, overlays);
  assert.equal(on.written.length, 1, "once");
  const foreign = shown({ ...files, defined: "/elsewhere/root.qcow2" });
  await foreign.layers.switchTo(ID, overlays);
  assert.deepEqual(foreign.written, []);
});

test("a disk is being copied only while libvirt has a job for it", async () => {
  const [old, copy] = ["/pool/root.qcow2", "/other/root.qcow2"];
  const standing = (files: Parameters<typeof shown>[0], hasJob: boolean) =>
    shown(files, hasJob).layers.standing(ID, "root", copy);
  assert.equal(await standing({ running: old, defined: old, mirror: copy }, true), "copying");
  // libvirt died after QEMU had dropped the job, and before it recorded the end.
  assert.equal(await standing({ running: old, defined: old, mirror: copy }, false), "neither");
  assert.equal(await standing({ running: old, defined: old, mirror: "/pool/x" }, true), "neither");
  assert.equal(await standing({ running: old, defined: old }, false), "neither");
  assert.equal(await standing({ running: copy, defined: old }, false), "switched");
  // QEMU knows more.
  assert.equal(
    await standing({ running: old, defined: old, mirror: copy, inQemu: copy }, false),
    "unrecorded",
  );
  assert.equal(await standing({ running: old, defined: old, mirror: copy, inQemu: copy }, true), "copying");
});
