// What is believed of a file in a pool: its name decides, since others write its bytes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { asNamed } from "../../../agent/contract/spec-named-volume.ts";

const file = { type: "file", capacityBytes: 100, physicalBytes: 7 };
const backing = { path: "/proc/kmsg" };

test("a raw file has its own size and no backing image, whatever header it has", () => {
  for (const format of ["qcow2", "qcow", "vmdk", "vdi", "qed", "vpc"])
    assert.deepEqual(asNamed({ ...file, name: "disk.raw", format, backing }), {
      capacityBytes: 7,
      backing: undefined,
      suspicious: format,
      isAsNamed: false,
    });
  for (const format of ["raw", "iso"]) {
    const { capacityBytes, suspicious, isAsNamed } = asNamed({ ...file, name: "cd.iso", format });
    // A LUKS header, which libvirt shows as raw, has a capacity as well.
    assert.deepEqual([capacityBytes, suspicious, isAsNamed], [7, undefined, true], format);
  }
});

test("a qcow2 file has what its header says only if libvirt found one", () => {
  const found = asNamed({ ...file, name: "disk.qcow2", format: "qcow2", backing });
  assert.deepEqual(found, {
    capacityBytes: 100,
    backing: "/proc/kmsg",
    suspicious: undefined,
    isAsNamed: true,
  });
  const empty = asNamed({ ...file, name: "disk.qcow2", format: "raw" });
  assert.deepEqual(empty, { capacityBytes: 7, backing: undefined, suspicious: undefined, isAsNamed: false });
  const other = asNamed({ ...file, name: "disk.qcow2", format: "vmdk", backing });
  assert.deepEqual(other, { capacityBytes: 7, backing: undefined, suspicious: "vmdk", isAsNamed: false });
});

test("a block device has the size of its device, and nothing of what is on it", () => {
  const device = {
    name: "web",
    type: "block",
    format: "qcow2",
    capacityBytes: 100,
    physicalBytes: 7,
    backing,
  };
  const { capacityBytes, backing: below, suspicious } = asNamed(device);
  assert.deepEqual([capacityBytes, below, suspicious], [100, undefined, undefined]);
});

test("a file with the name of a foreign format may be that, and counts with its own size", () => {
  const found = asNamed({ ...file, name: "golden.vmdk", format: "vmdk", backing });
  assert.deepEqual([found.suspicious, found.capacityBytes, found.backing], [undefined, 7, undefined]);
  assert.equal(asNamed({ ...file, name: "golden.vmdk", format: "qcow2" }).suspicious, "qcow2");
});
