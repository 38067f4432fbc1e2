// Whether the host or the VM caused a failed start.
import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { Domains } from "../../../../agent/vm/hypervisor/domains.ts";
import { checkSpec } from "../../../../agent/vm/model/spec-check.ts";
import { culpritOf, startFaultOf } from "../../../../agent/vm/hypervisor/start-fault.ts";
import { answering, sleepingClock } from "../../../support/vm/libvirt-answers.ts";

const ID = "6f1c2f1e-0000-4000-8000-000000000001";
const qemu = (words: string): SocleError =>
  new SocleError(
    "internal",
    "LIBVIRT_INTERNAL_ERROR",
    `libvirt answered DOMAIN_CREATE_WITH_FLAGS with: internal error: process exited while connecting to monitor: ${words}`,
    { details: { metadata: { libvirtCode: "1", libvirtDomain: "10" } } },
  );
const system = (libvirtDomain: string): SocleError =>
  new SocleError("internal", "LIBVIRT_SYSTEM_ERROR", "Unable to create tap device: Operation not permitted", {
    details: { metadata: { libvirtCode: "38", libvirtDomain } },
  });
const reason = (kind: SocleError["kind"], why: string): SocleError => new SocleError(kind, why, "no");

test("start errors are attributed to the VM, to the host, or to neither", () => {
  for (const [fault, error] of [
    ["vm", qemu("qemu-system-x86_64: could not load kernel '/pool/vmlinuz': Invalid argument")],
    ["vm", qemu("qemu: linux kernel too old to load a ram disk")],
    ["vm", qemu("-blockdev {...}: Image is not in qcow2 format")],
    ["vm", qemu("qcow2: Image is corrupt: L1 table offset is not aligned; cannot be opened read/write")],
    ["vm", qemu("'qcow2' does not support this qcow2 feature(s): Unsupported qcow2 feature: x")],
    ["vm", reason("invalid", "LIBVIRT_CONFIG_UNSUPPORTED")],
    ["vm", reason("exhausted", "LIBVIRT_QUEUE_FULL")],
    ["host", reason("exhausted", "LIBVIRT_NO_MEMORY")],
    ["host", reason("exhausted", "LIBVIRT_NO_SPACE")],
    ["host", system("0")],
    ["host", system("54")],
    ["unclear", system("18")],
    ["unclear", qemu("cannot set up guest memory 'pc.ram': Cannot allocate memory")],
    ["unclear", qemu("")],
  ] as const)
    assert.equal(startFaultOf(error), fault, error.message);
});

test("a failed start is reported with its tenant and boot image, unless the VM caused it", async () => {
  const spec = checkSpec(
    {
      ...{ name: "x", id: ID, tenant: "evil", vcpus: 1, memoryBytes: 2 ** 25 },
      kernelBoot: { kernel: { pool: "images", volume: "vmlinuz" } },
    },
    { bridges: [], allowSpoofing: false },
  );
  const reported: unknown[] = [];
  const fails = async (error: SocleError): Promise<void> => {
    const { calls } = answering({
      DOMAIN_CREATE_WITH_FLAGS: [error],
      DOMAIN_GET_STATE: [{ state: 5, reason: 0 }],
    });
    const domains = new Domains(calls, sleepingClock(), {
      reportStartFailure: ({ why: _, ...failure }) => void reported.push(failure),
      reportStartSuccess: () => assert.fail("the start failed"),
    });
    await assert.rejects(domains.start(ID, culpritOf(spec)), error);
  };
  await fails(qemu("could not load kernel '/pool/vmlinuz'"));
  assert.deepEqual(reported, []);
  await fails(qemu("crashed"));
  assert.deepEqual(reported, [{ vmId: ID, tenant: "evil", image: "images/vmlinuz", fault: "unclear" }]);
});

test("VMs with the same boot image are found, and an empty disk counts for its VM only", () => {
  const imageOf = (source: object): string =>
    culpritOf(
      checkSpec(
        { ...{ name: "x", id: ID, vcpus: 1, memoryBytes: 2 ** 25 }, disks: [{ name: "d", source }] },
        { bridges: [], allowSpoofing: false },
      ),
    ).image;
  assert.equal(imageOf({ kind: "volume", volume: { pool: "p", volume: "a" } }), "p/a");
  assert.equal(imageOf({ kind: "new", pool: "p", baseVolume: "a" }), "p/a");
  assert.equal(imageOf({ kind: "new", pool: "p", capacityBytes: 1 }), ID);
});
