import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { readActivity } from "../../../../agent/hardware/system/activity.ts";
import { runChild } from "../../../../agent/hardware/privileged/child.ts";
import { readCpuFrequency } from "../../../../agent/hardware/cpu/cpu-frequency.ts";
import { readDiskIo, readMappedDevices } from "../../../../agent/hardware/storage/diskstats.ts";
import { networkStackReader } from "../../../../agent/hardware/network/network-stack.ts";
import { valueOf } from "../../../../agent/hardware/reading.ts";
import { unpackHost } from "../../../support/tree.ts";
import { machine } from "../../../support/hardware/fixture.ts";

const server = await machine("two-sockets");
const vm = await machine("small-vm");

test("I/O is read of whole disks, arrays and mapped devices; not of partitions, files and optical drives", async () => {
  const disks = valueOf(await readDiskIo(server)) ?? [];
  assert.deepEqual(
    disks.map(({ device }) => device),
    ["sda", "nvme0n1", "md0", "dm-0"],
  );
  assert.deepEqual(disks[0], {
    device: "sda",
    read: { ops: 305_750, merged: 19_854, bytes: 14_448_743 * 512, seconds: 409 },
    write: { ops: 409_908, merged: 175_361, bytes: 21_273_000 * 512, seconds: 109.961 },
    inProgress: 2,
    busySeconds: 93.212,
    weightedSeconds: 551.649,
    discard: { ops: 185_308, merged: 362, bytes: 12_987_408 * 512, seconds: 21.473 },
    flush: { ops: 101_718, seconds: 11.213 },
  });
});

test("a mapped device has its volume's name; one without a name is left out", async () => {
  assert.deepEqual(valueOf(await readMappedDevices(server)), [{ device: "dm-0", name: "vg0-vm--disks" }]);
  assert.deepEqual(valueOf(await readMappedDevices(vm)), []);
});

test("values that an old kernel does not count are absent, and an invalid number is a failure", async (context) => {
  const line = "   8       0 sda 305750 19854 14448743 409000 409908 175361 21273000 109961 2 93212 551649";
  const old = await unpackHost(context, "two-sockets", { "proc/diskstats": `${line}\n` });
  const [disk] = valueOf(await readDiskIo(old)) ?? [];
  assert.deepEqual([disk?.weightedSeconds, disk?.discard, disk?.flush], [551.649, undefined, undefined]);
  for (const diskstats of [line.replace("409000", "x"), line.replace(" 551649", "")]) {
    const broken = await unpackHost(context, "two-sockets", { "proc/diskstats": diskstats });
    assert.equal((await readDiskIo(broken)).kind, "failed");
  }
  assert.equal((await readDiskIo(vm)).kind, "unsupported");
});

test("load and threads are read with the kernel's counts; systemd's limit of open files is no failure", async () => {
  const pageBytes = Number(
    (await runChild(["getconf", "PAGESIZE"], { timeoutMs: 60_000, maxOutputBytes: 100 }).output).stdout,
  );
  assert.deepEqual(valueOf(await readActivity(server)), {
    loadAverage: { 1: 12.41, 5: 9.87, 15: 8.02 },
    threads: 3127,
    openFiles: 5728,
    maxOpenFiles: 2 ** 63,
    majorFaults: 9844,
    swapInBytes: 12 * pageBytes,
    swapOutBytes: 340 * pageBytes,
    oomKills: 2,
  });
});

test("counters that a kernel lacks are absent; text that cannot be parsed is a failure", async (context) => {
  const bare = await unpackHost(context, "two-sockets", { "proc/vmstat": null });
  assert.equal("oomKills" in (valueOf(await readActivity(bare)) ?? {}), false);
  const garbage = {
    "proc/loadavg": "much\n",
    "proc/vmstat": "oom_kill -\n",
    "proc/sys/fs/file-nr": "\n",
  };
  for (const [path, content] of Object.entries(garbage)) {
    const broken = await unpackHost(context, "two-sockets", { [path]: content });
    assert.equal((await readActivity(broken)).kind, "failed", path);
  }
  assert.equal((await readActivity(vm)).kind, "unsupported");
});

test("dropped packets, TCP sockets of both protocols and tracked connections are read", async () => {
  assert.deepEqual(valueOf(await networkStackReader(server)()), {
    softnet: { dropped: 26, squeezed: 17 },
    tcp: { inUse: 47, orphaned: 1, timeWait: 12 },
    conntrack: { entries: 18_231, limit: 262_144 },
  });
});

test("packets counted by a CPU stay counted when it goes offline", async (context) => {
  const roots = await unpackHost(context, "two-sockets");
  const read = networkStackReader(roots);
  const [first = "", second = ""] = (await readFile(join(roots.procRoot, "net/softnet_stat"), "utf8")).split(
    "\n",
  );
  assert.deepEqual(valueOf(await read())?.softnet, { dropped: 26, squeezed: 17 });
  const more = first.replace(" 00000001 ", " 00000003 ");
  await writeFile(join(roots.procRoot, "net/softnet_stat"), `${more}\n`);
  assert.deepEqual(valueOf(await read())?.softnet, { dropped: 26, squeezed: 19 });
  await writeFile(join(roots.procRoot, "net/softnet_stat"), `${more}\n${second}\n`);
  assert.deepEqual(valueOf(await read())?.softnet, { dropped: 26, squeezed: 19 });
});

test("a host without connection tracking has no count; text that cannot be parsed is a failure", async (context) => {
  const open = await unpackHost(context, "two-sockets", { "proc/sys/net/netfilter": null });
  assert.equal("conntrack" in (valueOf(await networkStackReader(open)()) ?? {}), false);
  const garbage = {
    "proc/net/softnet_stat": "0001975f\n",
    "proc/net/sockstat": "sockets: used 412\n",
    "proc/sys/net/netfilter/nf_conntrack_count": "?\n",
  };
  for (const [path, content] of Object.entries(garbage)) {
    const broken = await unpackHost(context, "two-sockets", { [path]: content });
    assert.equal((await networkStackReader(broken)()).kind, "failed", path);
  }
  assert.equal((await networkStackReader(vm)()).kind, "unsupported");
});

test("frequencies are read of online CPUs; a guest has none", async (context) => {
  assert.deepEqual(valueOf(await readCpuFrequency(server)), {
    lowestHertz: 8e8,
    averageHertz: 7.1e9 / 3,
    highestHertz: 3.4e9,
  });
  const frequency = "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq";
  const broken = await unpackHost(context, "two-sockets", { [frequency]: "<unknown>\n" });
  assert.equal((await readCpuFrequency(broken)).kind, "failed");
  // An offline CPU's file exists, and the kernel refuses to read it.
  const offline = { [frequency]: "<unknown>\n", "sys/devices/system/cpu/online": "0,2\n" };
  const two = valueOf(await readCpuFrequency(await unpackHost(context, "two-sockets", offline)));
  assert.deepEqual([two?.lowestHertz, two?.highestHertz], [8e8, 3.4e9]);
  assert.equal((await readCpuFrequency(vm)).kind, "unsupported");
});
