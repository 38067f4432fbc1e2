import assert from "node:assert/strict";
import { test } from "node:test";
import { editDomain, parseDomain, withParts } from "../../../../../agent/libvirt/xml/index.ts";

const xml = `<domain type='kvm' xmlns:x='urn:x'>
  <name>web-1</name>
  <uuid>6f2f0c4e-8c1b-4f0e-9a54-6a3f3c1b2a01</uuid>
  <metadata><x:mine of="a &gt; b"><vcpu>kept</vcpu>&lt;é🦆</x:mine></metadata>
  <memory unit='KiB'>262144</memory>
  <currentMemory unit='KiB'>262144</currentMemory>
  <memtune><hard_limit unit='KiB'>900000</hard_limit></memtune>
  <vcpu placement='static' cpuset='0-3'>2</vcpu>
  <os><type arch='x86_64' machine='pc-q35-10.0'>hvm</type></os>
  <cpu mode='host-model' check='partial'/>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <source file='/pool/a.qcow2'/><target dev='vda' bus='virtio'/>
      <boot order='1'/>
      <alias name='ua-disk-root'/>
      <address type='pci' domain='0x0000' bus='0x04' slot='0x00' function='0x0'/>
    </disk>
    <interface type='network'><mac address='52:54:00:12:34:56'/><source network='default'/><alias name='ua-nic-front'/></interface>
    <watchdog model='itco' action='reset'/>
  </devices>
</domain>`;

test("an edit changes its parts and leaves every other byte", () => {
  const edited = editDomain(xml, {
    vcpus: { max: 4, current: 3, cpuSet: [0, 1, 2, 3], removable: 2 },
    memoryBytes: 128 * 1024 ** 2,
    memoryHardLimitBytes: 500_000 * 1024,
    cpu: { mode: "custom", model: { name: "EPYC-Rome", fallback: "forbid" } },
    bootOrder: ["ua-nic-front", "ua-disk-root"],
  });
  const { vcpus, memoryBytes, currentMemoryBytes, memoryHardLimitBytes, cpu, devices } = parseDomain(edited);
  assert.deepEqual(vcpus, { max: 4, current: 3, cpuSet: [0, 1, 2, 3], removable: 2 });
  assert.deepEqual(
    [memoryBytes, currentMemoryBytes, memoryHardLimitBytes],
    [128 * 1024 ** 2, 128 * 1024 ** 2, 500_000 * 1024],
  );
  assert.deepEqual(cpu, { mode: "custom", model: { name: "EPYC-Rome", fallback: "forbid" } });
  assert.deepEqual([devices.disks[0]?.bootOrder, devices.interfaces[0]?.bootOrder], [2, 1]);
  const rest = (text: string): string =>
    text
      .replace(/<vcpus>.*?<\/vcpus>/s, "")
      .replace(/<cpu [^>]*[^/]>.*?<\/cpu>/s, "")
      .replace(/<(memory|currentMemory|vcpu|cpu|boot|hard_limit)\b[^>]*?(\/>|>[^<]*<\/\1>)/g, "");
  assert.equal(rest(edited).replaceAll(/\s+/g, ""), rest(xml).replaceAll(/\s+/g, ""));
  assert.ok(edited.includes('<x:mine of="a &gt; b"><vcpu>kept</vcpu>&lt;é🦆</x:mine>'));
});

test("without an edit a domain is unchanged, and what it lacks is added", () => {
  assert.equal(editDomain(xml, {}), xml);
  const bare = xml.replace(/<cpu [^>]*>/, "").replace(/<memtune>.*<\/memtune>/, "");
  assert.equal(
    parseDomain(editDomain(bare, { cpu: { mode: "host-passthrough" } })).cpu?.mode,
    "host-passthrough",
  );
  assert.equal(parseDomain(editDomain(xml, { cpu: "none" })).cpu, undefined);
  assert.equal(editDomain(bare, { memoryHardLimitBytes: 2 ** 30 }), bare);
  assert.equal(parseDomain(editDomain(xml, { bootOrder: [] })).devices.disks[0]?.bootOrder, undefined);
});

test("what a growth of memory needs comes and goes, and the rest of the CPU stays", () => {
  const growth = (mib: number) => ({
    maxMemory: { bytes: mib * 1024 ** 2, slots: 8 },
    cells: [{ id: 0, cpus: [0, 1], memoryBytes: 256 * 1024 ** 2 }],
  });
  const bare = xml.replace(/<cpu [^>]*>/, "");
  const named = xml.replace(/<cpu [^>]*>/, "<cpu mode='custom'><model>EPYC</model></cpu>");
  for (const [before, mode, model] of [
    [xml, "host-model", undefined],
    [bare, undefined, undefined],
    [named, "custom", "EPYC"],
  ] as const) {
    const edited = editDomain(editDomain(before, { memoryGrowth: growth(512) }), {
      memoryGrowth: growth(1024),
    });
    const { maxMemory, cpu } = parseDomain(edited);
    assert.deepEqual(maxMemory, growth(1024).maxMemory);
    assert.deepEqual([cpu?.mode, cpu?.model?.name, cpu?.cells], [mode, model, growth(1024).cells]);
    const without = parseDomain(editDomain(edited, { memoryGrowth: "none" }));
    assert.deepEqual(
      [without.maxMemory, without.cpu?.cells, without.cpu?.mode],
      [undefined, undefined, mode],
    );
  }
});

test("a value that may not be written is refused", () => {
  assert.throws(() => editDomain(xml, { cpu: { mode: "host'/><x" } }), { reason: "XML_VALUE_REFUSED" });
  assert.throws(() => editDomain(`<!DOCTYPE d>${xml}`, {}), { reason: "XML_MALFORMED" });
});

test("a disk is added, or gets another source and keeps all else", () => {
  const disk = {
    device: "disk",
    source: { type: "file", path: "/pool/b&.iso" },
    format: "raw",
    target: { device: "vdz", bus: "virtio" },
    alias: "ua-seed",
    readOnly: true,
  } as const;
  const added = editDomain(xml, { disks: [disk] });
  assert.deepEqual(parseDomain(added).devices.disks[1]?.source, disk.source);
  const bare = (text: string): string => text.replaceAll(/\s+/g, "");
  assert.equal(bare(added.replace(/<disk type="file".*?<\/disk>/s, "")), bare(xml));
  const source = { type: "file", path: "/pool/c.qcow2" } as const;
  const changed = editDomain(xml, { disks: [{ ...disk, alias: "ua-disk-root", source }] });
  const wanted = xml.replace("<source file='/pool/a.qcow2'/>", '<source file="/pool/c.qcow2"/>');
  assert.equal(bare(changed), bare(wanted));
  const path = "../relative";
  assert.throws(() => editDomain(xml, { disks: [{ ...disk, source: { ...source, path } }] }));
});

test("parts are taken from another document as they are there, and all else stays", () => {
  const other =
    "<domain><vcpus><vcpu id='0' enabled='yes' order='1'/></vcpus><cpu mode='custom'><model>Nehalem</model></cpu><name>b</name></domain>";
  const edited = withParts(xml, other, ["currentMemory", "vcpus", "cpu"]);
  const put =
    "<vcpus><vcpu id='0' enabled='yes' order='1'/></vcpus><cpu mode='custom'><model>Nehalem</model></cpu>";
  const expected = xml
    .replace("<cpu mode='host-model' check='partial'/>", "")
    .replace("<currentMemory unit='KiB'>262144</currentMemory>", "");
  assert.equal(edited.replace(put, ""), expected);
  assert.ok(edited.includes(put));
  // Also without any space between the elements.
  assert.equal(withParts("<domain><cpu/><name>a</name></domain>", other, ["cpu"]).match(/<cpu/g)?.length, 1);
  assert.throws(() => withParts(xml, "<domain>", ["cpu"]));
});
