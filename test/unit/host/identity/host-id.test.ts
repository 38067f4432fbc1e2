import assert from "node:assert/strict";
import test from "node:test";
import { chooseHostId } from "../../../../agent/host/identity/host-id.ts";

const machineId = "0123456789abcdef0123456789abcdef";
const libvirtUuid = "37efcde6-45c6-4538-af65-7c0ca6433750";

test("the host id is libvirt's uuid if it comes from the firmware", () => {
  assert.equal(chooseHostId({ libvirtUuid, machineId, hasFirmwareTables: true }), libvirtUuid);
});

test("a host without any identity still gets an id", () => {
  assert.match(chooseHostId({ hasFirmwareTables: false }), /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
});

test("without firmware libvirt's uuid changes with its daemon: the machine id is used first", () => {
  const id = chooseHostId({ libvirtUuid, machineId, hasFirmwareTables: false });
  assert.notEqual(id, libvirtUuid);
  assert.equal(chooseHostId({ libvirtUuid, hasFirmwareTables: false }), libvirtUuid);
});

test("the derived id is a stable version 4 UUID that does not reveal the machine id", () => {
  const id = chooseHostId({ machineId, hasFirmwareTables: false });
  assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(chooseHostId({ machineId, hasFirmwareTables: false }), id);
  assert.notEqual(id.replaceAll("-", ""), machineId);
  assert.notEqual(chooseHostId({ machineId: machineId.replace("0", "1"), hasFirmwareTables: false }), id);
});
