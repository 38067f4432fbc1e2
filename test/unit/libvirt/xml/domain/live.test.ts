import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { buildGraphics, buildMemoryDevice } from "../../../../../agent/libvirt/xml/index.ts";
import { fullDomain } from "../../../../support/libvirt/xml/samples.ts";
import { buildVmDomain, parseVmDomain } from "../../../../../agent/vm/model/vm-domain.ts";

const mebibyte = 1024 ** 2;

/** A running guest's document in libvirt 11.3, reduced to these tests' subject. */
const live = `<domain type='qemu' id='3'>
  <name>live</name><uuid>3f0c9b52-7a54-4c1d-8f3e-0c3a9d3a1b01</uuid>
  <maxMemory slots='4' unit='KiB'>1048576</maxMemory><memory unit='KiB'>524288</memory>
  <vcpu placement='static'>1</vcpu><os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/><source file='/srv/over.qcow2' index='1'/>
      <mirror type='file' job='copy' ready='yes'>
        <format type='qcow2'/><source file='/srv/copy.qcow2' index='4'/>
      </mirror>
      <target dev='vda' bus='virtio'/><alias name='virtio-disk0'/>
    </disk>
    <graphics type='vnc' socket='/run/screen.sock' passwd='secret1'>
      <listen type='socket' socket='/run/screen.sock'/>
    </graphics>
    <graphics type='vnc' port='-1' autoport='yes' listen='127.0.0.1'>
      <listen type='address' address='127.0.0.1'/>
    </graphics>
    <memory model='virtio-mem'>
      <target>
        <size unit='KiB'>131072</size><node>0</node><block unit='KiB'>2048</block>
        <requested unit='KiB'>65536</requested><current unit='KiB'>4096</current>
        <address base='0x140000000'/>
      </target>
      <alias name='virtiomem0'/>
      <address type='pci' domain='0x0000' bus='0x09' slot='0x00' function='0x0'/>
    </memory>
    <memory model='dimm'>
      <target><size unit='KiB'>131072</size><node>0</node></target>
      <alias name='dimm1'/><address type='dimm' slot='1' base='0x148000000'/>
    </memory>
    <memory model='nvdimm'>
      <source><path>/srv/nvdimm</path></source><target><size unit='KiB'>131072</size><node>0</node></target>
    </memory>
  </devices>
</domain>`;

const notWritable = { kind: "unsupported", reason: "DOMAIN_NOT_WRITABLE" };

describe("a running domain", () => {
  it("shows its memory devices, screens and block jobs", () => {
    const { disks, graphics, memoryDevices } = parseVmDomain(live).devices;
    assert.deepEqual(disks[0]?.mirror, { type: "file", path: "/srv/copy.qcow2" });
    assert.deepEqual(disks[0].mirrorJob, { job: "copy", format: "qcow2", ready: "yes" });
    assert.deepEqual(graphics, [
      { type: "vnc", socket: "/run/screen.sock", password: "secret1" },
      { type: "vnc", autoPort: true, listen: "127.0.0.1" },
    ]);
    const sizeBytes = 128 * mebibyte;
    assert.deepEqual(memoryDevices, [
      {
        model: "virtio-mem",
        sizeBytes,
        guestCell: 0,
        blockBytes: 2 * mebibyte,
        requestedBytes: 64 * mebibyte,
        currentBytes: 4 * mebibyte,
        baseAddress: 0x140000000,
        alias: "virtiomem0",
        address: { domain: 0, bus: 9, slot: 0, function: 0 },
      },
      { model: "dimm", sizeBytes, guestCell: 0, alias: "dimm1" },
      { model: "nvdimm", sizeBytes, guestCell: 0 },
    ]);
  });

  it("is written with its memory and screens, and without the parts of a running guest", () => {
    const domain = parseVmDomain(live);
    const [virtio, dimm, nvdimm] = domain.devices.memoryDevices;
    assert.ok(virtio && dimm && nvdimm);
    const text = buildVmDomain({ ...domain, devices: { ...domain.devices, memoryDevices: [virtio, dimm] } });
    assert.doesNotMatch(text, /mirror|alias|current/);
    const { graphics, memoryDevices } = parseVmDomain(text).devices;
    assert.deepEqual(graphics, domain.devices.graphics);
    assert.deepEqual(
      memoryDevices.map(({ model, requestedBytes }) => [model, requestedBytes]),
      [
        ["virtio-mem", 64 * mebibyte],
        ["dimm", undefined],
      ],
    );
    assert.throws(() => buildVmDomain(domain), notWritable);
    assert.throws(() => buildMemoryDevice(nvdimm), notWritable);
  });

  it("finds a memory device again by its address in the guest, which libvirt compares", () => {
    const [virtio] = parseVmDomain(live).devices.memoryDevices;
    assert.ok(virtio);
    const text = buildMemoryDevice({ ...virtio, requestedBytes: 0 });
    assert.match(text, /<address base="0x140000000"\/>/);
    assert.match(text, /<address type="pci" domain="0x0000" bus="0x09" slot="0x00" function="0x0"\/>/);
  });

  it("has no screen that the network reaches, and no kind but VNC", () => {
    const listening = { type: "vnc", autoPort: true, listen: "0.0.0.0" };
    assert.throws(() => buildGraphics(listening), { kind: "invalid", reason: "XML_VALUE_REFUSED" });
    assert.throws(() => buildGraphics({ type: "spice" }), notWritable);
  });
});

it("a single memory device or screen is the element of a domain", () => {
  const domain = buildVmDomain(fullDomain).replaceAll(/^ +/gm, "");
  for (const device of fullDomain.devices.memoryDevices)
    assert.ok(domain.includes(buildMemoryDevice(device).replaceAll(/^ +/gm, "")));
  for (const graphics of fullDomain.devices.graphics)
    assert.ok(domain.includes(buildGraphics(graphics).replaceAll(/^ +/gm, "")));
});
