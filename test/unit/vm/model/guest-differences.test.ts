import assert from "node:assert/strict";
import test from "node:test";
import { guestDifferences } from "../../../../agent/vm/model/guest-differences.ts";

const xml = (changes: readonly (readonly [string, string])[] = []): string =>
  changes.reduce(
    (text, [from, to]) => {
      assert.ok(text.includes(from), from);
      return text.replace(from, to);
    },
    `<domain type='kvm'><name>web</name><metadata><a xmlns='urn:a'>1</a></metadata>
      <memory unit='KiB'>1024</memory><currentMemory unit='KiB'>1024</currentMemory>
      <vcpu placement='static' current='1'>2</vcpu><cputune><vcpupin vcpu='0' cpuset='1'/></cputune>
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
    ["cpuset='1'", "cpuset='2'"],
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
    ["1024</currentMemory>", "512</currentMemory>", "currentMemory"],
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
