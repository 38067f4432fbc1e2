import assert from "node:assert/strict";
import test from "node:test";
import { guestDifferences, restoredXml } from "../../../../agent/vm/model/guest-differences.ts";

const xml = (changes: readonly (readonly [string, string])[] = []): string =>
  changes.reduce(
    (text, [from, to]) => {
      assert.ok(text.includes(from), from);
      return text.replace(from, to);
    },
    `<domain type='kvm'><name>web</name><metadata><a xmlns='urn:a'>1</a></metadata>
      <memory unit='KiB'>1024</memory><currentMemory unit='KiB'>1024</currentMemory>
      <vcpu placement='static' cpuset='0-3' current='1'>2</vcpu><vcpus><vcpu id='0' enabled='yes' hotpluggable='no'/></vcpus><cputune><vcpupin vcpu='0' cpuset='1'/></cputune>
      <os><type arch='x86_64' machine='pc-q35-10.0'>hvm</type><kernel>/k</kernel></os>
      <cpu mode='host-model'><topology sockets='1' cores='2' threads='1'/></cpu>
      <devices>
        <disk type='file' device='disk'><driver name='qemu' type='raw' queues='1'/><source file='/a'/><target dev='vda'/><iotune/><alias name='ua-disk-root'/></disk>
        <disk type='file' device='cdrom'><source file='/m'/><target dev='sda'/><alias name='ua-disk-cd'/></disk>
        <interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='br0'/><alias name='ua-nic-a'/></interface>
        <graphics type='vnc' socket='/s'/>
        <memballoon model='virtio'/>
      </devices></domain>`,
  );
const differences = (...changes: (readonly [string, string])[]): string[] =>
  guestDifferences(xml(), xml(changes), (alias) => alias === "ua-disk-root");

test("what a guest does not see of its VM may change", () => {
  assert.deepEqual(differences(), []);
  const hosts = [
    ["'urn:a'>1", "'urn:a'>2"],
    [
      "<cputune><vcpupin vcpu='0' cpuset='1'/></cputune>",
      "<cputune><vcpupin vcpu='0' cpuset='2'/></cputune>",
    ],
    [" cpuset='0-3'", ""],
    ["<kernel>/k", "<kernel>/other"],
    ["file='/a'", "file='/b'"],
    ["type='raw'", "type='qcow2'"],
    ["<iotune/>", "<iotune><total_iops_sec>5</total_iops_sec></iotune>"],
    ["bridge='br0'", "bridge='br1'"],
    ["socket='/s'", "socket='/t'"],
  ] as const;
  assert.deepEqual(differences(...hosts), []);
});

test("what a guest sees is compared, and named", () => {
  for (const [from, to, part] of [
    ["1024</memory>", "2048</memory>", "memory"],
    ["current='1'", "current='2'", "vcpu"],
    [">2</vcpu>", ">4</vcpu>", "vcpu"],
    ["host-model", "host-passthrough", "cpu"],
    ["cores='2'", "cores='1'", "cpu"],
    ["pc-q35-10.0", "pc-q35-9.0", "os"],
    ["queues='1'", "queues='2'", "disk ua-disk-root"],
    ["file='/m'", "file='/n'", "disk ua-disk-cd"],
    ["00:01", "00:02", "interface ua-nic-a"],
    ["<memballoon model='virtio'/>", "<memballoon model='none'/>", "memballoon"],
    ["<devices>", "<devices><rng model='virtio'/>", "rng"],
    ["<vcpu", "<hyperv/><vcpu", "hyperv"],
  ] as const)
    assert.deepEqual(differences([from, to]), [part], from);
});

/** A guest of the definition `now`, whose memory was saved with `then`. */
const between = (now: readonly (readonly [string, string])[], then: readonly (readonly [string, string])[]) =>
  guestDifferences(xml(then), xml(now), () => true);
const HOST_MODEL = "<cpu mode='host-model'><topology sockets='1' cores='2' threads='1'/></cpu>";
const expanded = (cores = 2, model = "Skylake", more = ""): string =>
  `<cpu mode='custom' match='exact' check='full'><model fallback='forbid'>${model}</model><vendor>Intel</vendor><maxphysaddr mode='passthrough' limit='48'/>` +
  `<topology sockets='1' dies='1' cores='${cores}' threads='1'/><feature policy='require' name='vmx'/>${more}</cpu>`;
const custom = (model = "Skylake", more = ""): string =>
  `<cpu mode='custom' match='exact' check='partial'><model fallback='forbid'>${model}</model>` +
  `<topology sockets='1' cores='2' threads='1'/>${more}</cpu>`;

test("what libvirt fills in at a start is no difference", () => {
  assert.deepEqual(between([], [[HOST_MODEL, expanded()]]), [], "host-model");
  assert.deepEqual(between([[HOST_MODEL, custom()]], [[HOST_MODEL, expanded()]]), [], "features");
  const vcpus = [
    ["hotpluggable='no'/>", "hotpluggable='no' order='1'/>"],
    ["1024</currentMemory>", "512</currentMemory>"],
  ] as const;
  assert.deepEqual(between([], vcpus), [], "the order of vCPUs, and the balloon");
  const plugged = (current: string) =>
    [
      "<memballoon model='virtio'/>",
      `<memory model='virtio-mem'><target><size>8</size><requested>4</requested>${current}</target></memory>`,
    ] as const;
  assert.deepEqual(between([plugged("")], [plugged("<current>4</current>")]), [], "memory that is plugged");
  const loader = "<loader readonly='yes' type='pflash'>/f</loader><nvram template='/t'>/n</nvram>";
  const filled = [
    "<kernel>/k</kernel>",
    `<firmware><feature enabled='no' name='secure-boot'/></firmware>${loader}`,
  ] as const;
  const chosen = ["<os>", "<os firmware='efi'>"] as const;
  assert.deepEqual(between([chosen], [filled]), [], "the firmware");
});

test("a CPU that the guest would find changed is a difference, whatever libvirt has filled in", () => {
  assert.deepEqual(between([], [[HOST_MODEL, expanded(1)]]), ["cpu"], "topology");
  assert.deepEqual(between([[HOST_MODEL, custom("Nehalem")]], [[HOST_MODEL, expanded()]]), ["cpu"], "model");
  const more = "<feature policy='require' name='avx'/>";
  assert.deepEqual(between([[HOST_MODEL, custom("Skylake", more)]], [[HOST_MODEL, expanded()]]), ["cpu"]);
  const passthrough = ["host-model", "host-passthrough"] as const;
  assert.deepEqual(between([], [passthrough]), ["cpu"]);
  const loaders = (path: string) => ["<kernel>/k</kernel>", `<loader>${path}</loader>`] as const;
  assert.deepEqual(between([loaders("/a")], [loaders("/b")]), ["os"]);
});

test("libvirt is given the CPU, the vCPUs and the balloon that the guest had, and the present rest", () => {
  const saved = xml([
    [HOST_MODEL, expanded()],
    ["hotpluggable='no'/>", "hotpluggable='no' order='1'/>"],
    ["1024</currentMemory>", "512</currentMemory>"],
    ["file='/a'", "file='/old'"],
  ]);
  const files = new Map([["ua-disk-root", "/new"]]);
  const restored = restoredXml(saved, xml([["bridge='br0'", "bridge='br1'"]]), files);
  for (const part of [
    expanded(),
    "hotpluggable='no' order='1'/>",
    "512</currentMemory>",
    "<driver name='qemu' type='qcow2' queues='1'/>",
    "/new",
    "file='/m'",
    "bridge='br1'",
  ])
    assert.ok(restored.includes(part), part);
  for (const gone of ["host-model", "file='/a'", "file='/old'"]) assert.ok(!restored.includes(gone), gone);
  assert.throws(() => restoredXml(saved, xml(), new Map([["ua-disk-other", "/new"]])), /ua-disk-other/);
});
