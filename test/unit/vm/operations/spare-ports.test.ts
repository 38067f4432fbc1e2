import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { VmTable } from "../../../../agent/vm/observation/vm-table.ts";
import { addSparePorts } from "../../../../agent/vm/operations/spare-ports.ts";
import { answering, sleepingClock } from "../../../support/vm/libvirt-answers.ts";
import { steps } from "../../../support/vm/steps.ts";
import { workContext } from "../../../support/vm/work-context.ts";

const ID = "6f1c2f1e-0000-4000-8000-000000000001";
const older = {
  xml: `<domain type='qemu'><name>a</name><uuid>${ID}</uuid><memory unit='KiB'>1024</memory><vcpu>1</vcpu>
    <os><type arch='x86_64' machine='pc-q35-10.0'>hvm</type></os>
    <devices><controller type='pci' index='0' model='pcie-root'/></devices></domain>`,
};
const failure = new SocleError("internal", "LIBVIRT_INTERNAL_ERROR", "no");

/** The number of ports that libvirt was asked for, and the steps. */
async function added(answers: Readonly<Record<string, readonly unknown[]>>): Promise<[number, string[]]> {
  const { calls, called } = answering({
    DOMAIN_GET_XML_DESC: [older],
    DOMAIN_HAS_MANAGED_SAVE_IMAGE: [{ result: false }],
    DOMAIN_ATTACH_DEVICE_FLAGS: [{}],
    ...answers,
  });
  const begun: string[] = [];
  const step = steps((name) => begun.push(name));
  await addSparePorts(workContext(calls, sleepingClock(), new VmTable()), { vmId: ID, step });
  return [called.filter((name) => name === "DOMAIN_ATTACH_DEVICE_FLAGS").length, begun];
}

test("a definition without spare ports gets 16, besides one for each device, in a step", async () => {
  assert.deepEqual(await added({}), [19, ["add PCIe ports"]]);
});

test("a saved guest and a definition with enough ports are left alone", async () => {
  assert.deepEqual(await added({ DOMAIN_HAS_MANAGED_SAVE_IMAGE: [{ result: true }] }), [0, []]);
  const old = { xml: older.xml.replace("pcie-root", "pci-root") };
  assert.deepEqual(await added({ DOMAIN_GET_XML_DESC: [old] }), [0, []]);
});

test("a libvirt that refuses does not prevent the start", async () => {
  assert.deepEqual(await added({ DOMAIN_ATTACH_DEVICE_FLAGS: [{}, failure] }), [2, ["add PCIe ports"]]);
  assert.deepEqual(await added({ DOMAIN_GET_XML_DESC: [failure] }), [0, []]);
  assert.deepEqual(await added({ DOMAIN_HAS_MANAGED_SAVE_IMAGE: [failure] }), [0, []]);
});
