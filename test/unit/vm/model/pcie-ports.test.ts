import assert from "node:assert/strict";
import { test } from "node:test";
import { buildController, parseDomain } from "../../../../agent/libvirt/xml/index.ts";
import {
  missingPciePorts,
  pcieControllers,
  SPARE_PCIE_PORTS,
} from "../../../../agent/vm/model/pcie-ports.ts";

const domainWith = (devices: string, machine = "pc-q35-10.0") =>
  parseDomain(
    `<domain type='qemu'><name>a</name><uuid>6f1c2f1e-0000-4000-8000-000000000001</uuid><memory unit='KiB'>1024</memory>
     <vcpu>1</vcpu><os><type arch='x86_64' machine='${machine}'>hvm</type></os><devices>${devices}</devices></domain>`,
  ).devices;
const port = (index: number, chassis = index) =>
  `<controller type='pci' index='${index}' model='pcie-root-port'><model name='pcie-root-port'/>
   <target chassis='${chassis}' port='0x8'/></controller>`;
const root = "<controller type='pci' index='0' model='pcie-root'/>";
const disk = "<disk type='file' device='disk'><source file='/a'/><target dev='vda' bus='virtio'/></disk>";

test("a new VM has the spare ports, and lacks as many as it has got devices since", () => {
  const controllers = pcieControllers({ disks: [1], interfaces: [], hostDevices: [] });
  const xml = controllers
    .filter(({ model }) => model === "pcie-root-port")
    .map(({ index = 0 }) => port(index))
    .join("");
  assert.deepEqual(missingPciePorts(domainWith(root + xml + disk)), []);
  assert.equal(missingPciePorts(domainWith(root + xml + disk.repeat(3))).length, 2);
  // Memory that a guest was given takes a port; a dimm needs none.
  const memory = "<memory model='virtio-mem'><target><size unit='KiB'>2048</size></target></memory>";
  assert.equal(missingPciePorts(domainWith(root + xml + disk + memory)).length, 1);
  const dimm = memory.replace("virtio-mem", "dimm");
  assert.deepEqual(missingPciePorts(domainWith(root + xml + disk + dimm)), []);
});

test("a VM with the ports that libvirt chose lacks the spare ones, if its machine has PCIe", () => {
  assert.equal(missingPciePorts(domainWith(root + port(1) + disk)).length, SPARE_PCIE_PORTS + 3);
  const old = "<controller type='pci' index='0' model='pci-root'/>";
  assert.deepEqual(missingPciePorts(domainWith(old + disk, "pc-i440fx-10.0")), []);
});

test("new ports have indexes and chassis that no other controller has, as libvirt requires", () => {
  const [first, second] = missingPciePorts(domainWith(root + port(1) + port(2, 20)));
  assert.deepEqual([first?.index, first?.port?.chassis, second?.index], [21, 21, 22]);
  assert.ok(first);
  const xml = buildController(first).replaceAll(/>\s+</g, "><");
  assert.equal(
    xml.trim(),
    '<controller type="pci" index="21" model="pcie-root-port"><model name="pcie-root-port"/>' +
      '<target chassis="21" port="28"/></controller>',
  );
});
