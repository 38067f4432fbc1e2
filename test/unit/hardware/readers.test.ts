import assert from "node:assert/strict";
import { appendFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { cpuActivityReader, readCpuModel } from "../../../agent/hardware/cpu/cpu.ts";
import { readDmi } from "../../../agent/hardware/system/dmi.ts";
import { readKvm } from "../../../agent/hardware/cpu/kvm.ts";
import { readMemory } from "../../../agent/hardware/memory/memory.ts";
import { readNetworkInterfaces } from "../../../agent/hardware/network/network.ts";
import { readNuma } from "../../../agent/hardware/memory/numa.ts";
import { readPressure } from "../../../agent/hardware/system/pressure.ts";
import { valueOf, type Reading } from "../../../agent/hardware/reading.ts";
import { readMachineId, readOperatingSystem } from "../../../agent/hardware/system/system.ts";
import { unpackHost } from "../../support/tree.ts";
import { machine, MIB } from "../../support/hardware/fixture.ts";

const server = await machine("two-sockets");
const vm = await machine("small-vm");

function read<T>(reading: Reading<T>): T {
  const value = valueOf(reading);
  assert.ok(value !== undefined, `not read: ${JSON.stringify(reading)}`);
  return value;
}

async function temporary(context: test.TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "socle-hardware-"));
  context.after(() => rm(directory, { recursive: true }));
  return directory;
}

test("the four NUMA cells of a two-socket server are read, with their huge pages", async () => {
  const nodes = read(await readNuma(server));
  assert.deepEqual(
    nodes.map(({ id, cpus }) => [id, read(cpus)]),
    [
      [0, [0, 1, 8, 9]],
      [1, [2, 3, 10, 11]],
      [2, [4, 5, 12, 13]],
      [3, [6, 7, 14, 15]],
    ],
  );
  const [first, , third] = nodes;
  assert.ok(first !== undefined && third !== undefined);
  assert.equal(read(first.memory).totalBytes, 65_673_216 * 1024);
  assert.deepEqual(read(third.distances), [21, 21, 10, 11]);
  assert.deepEqual(read(first.hugepages), [
    { sizeBytes: 2 * MIB, total: 8192, free: 512 },
    { sizeBytes: 1024 * MIB, total: 4, free: 4 },
  ]);
});

test("a kernel without NUMA is one node: the whole machine", async () => {
  const [node, ...more] = read(await readNuma(vm));
  assert.ok(node !== undefined && more.length === 0);
  assert.deepEqual([node.id, read(node.cpus)], [0, [0, 1]]);
  assert.equal(read(node.memory).totalBytes, 4_014_680 * 1024);
  assert.equal(node.distances.kind, "unsupported");
});

test("a broken file of a node loses only its own values, and is never a zero", async (context) => {
  const sysRoot = await temporary(context);
  const node = join(sysRoot, "devices/system/node/node0");
  await mkdir(node, { recursive: true });
  await writeFile(join(node, "cpulist"), "0-3\n");
  await writeFile(join(node, "meminfo"), "Node 0 MemFree: 12 kB\n");
  await writeFile(join(node, "distance"), "10 x\n");
  const [found] = read(await readNuma({ ...vm, sysRoot }));
  assert.ok(found !== undefined);
  assert.deepEqual(read(found.cpus), [0, 1, 2, 3]);
  assert.equal(found.memory.kind, "failed");
  assert.equal(found.distances.kind, "failed");
  assert.equal(found.hugepages.kind, "unsupported");
});

test("memory is the kernel's available figure, not the free one", async () => {
  const memory = read(await readMemory(vm));
  assert.equal(memory.totalBytes, 4_014_680 * 1024);
  assert.equal(memory.availableBytes, 3_601_220 * 1024);
  assert.equal(read(await readMemory(server)).hugetlbBytes, (24_576 * 2 + 8 * 1024) * MIB);
});

test("meminfo without MemAvailable is a failure that names it", async (context) => {
  const procRoot = await temporary(context);
  await writeFile(join(procRoot, "meminfo"), "MemTotal: 1024 kB\nMemFree: 512 kB\n");
  const memory = await readMemory({ ...vm, procRoot });
  assert.ok(memory.kind === "failed");
  assert.match(memory.reason, /MemAvailable/);
});

test("CPU seconds are read by mode; a mode that the kernel does not count is absent", async () => {
  const { secondsByMode } = read(await cpuActivityReader(server)());
  assert.equal(secondsByMode.user, 101_321.53);
  assert.equal(secondsByMode.steal, 1756.28);
  assert.equal("guest" in read(await cpuActivityReader(vm)()).secondsByMode, false);
});

test("context switches and interrupts are read; a kernel without one of them gives the others", async (context) => {
  const { secondsByMode, ...counted } = read(await cpuActivityReader(server)());
  assert.deepEqual(counted, {
    contextSwitches: 8_211_442,
    interrupts: 199_292,
    forks: 114_219,
    running: 2,
    blocked: 0,
  });
  const stat = "cpu  100 0 200 5000 300 0 0 70\nctxt many\nprocs_running 3\n";
  const host = await unpackHost(context, "two-sockets", { "proc/stat": stat });
  const { secondsByMode: _, ...some } = read(await cpuActivityReader(host)());
  assert.deepEqual([some, secondsByMode.user], [{ running: 3 }, 101_321.53]);
  const broken = await unpackHost(context, "two-sockets", { "proc/stat": "ctxt 5\n" });
  assert.equal((await cpuActivityReader(broken)()).kind, "failed");
});

test("CPU seconds never fall: a counter that falls or goes below zero keeps its value", async (context) => {
  const host = await unpackHost(context, "two-sockets");
  const look = cpuActivityReader(host);
  const writeStat = (line: string): Promise<void> => writeFile(join(host.procRoot, "stat"), `${line}\n`);
  await writeStat("cpu  100 0 200 5000 300 0 0 70");
  await look();
  await writeStat("cpu  150 0 260 4900 250 0 0 18446744073709551611");
  const { user, idle, iowait, steal } = read(await look()).secondsByMode;
  assert.deepEqual([user, idle, iowait, steal], [1.5, 50, 3, 0.7]);
});

test("sockets, cores and threads are counted from their ids", async () => {
  const cpu = read(await readCpuModel(server));
  assert.deepEqual([cpu.sockets, cpu.cores, cpu.threads], [2, 8, 16]);
  assert.equal(cpu.model, "Intel(R) Xeon(R) Gold 6326 CPU @ 2.90GHz");
  assert.equal(cpu.maxFrequencyHertz, 3.5e9);
  const arm = read(await readCpuModel(vm));
  assert.deepEqual([arm.sockets, arm.cores, arm.threads], [1, 2, 2]);
  assert.equal("maxFrequencyHertz" in arm, false);
});

test("pressure is read as ratios; a kernel without it is no failure", async () => {
  const pressure = read(await readPressure(server, "memory"));
  assert.equal(pressure.stalled?.avg60Ratio, 0.1225);
  assert.equal(pressure.waiting.totalSeconds, 99.123456);
  assert.equal((await readPressure(vm, "memory")).kind, "unsupported");
});

test("network counters, link and speed are read; values that a driver lacks are absent", async () => {
  const interfaces = read(await readNetworkInterfaces(server));
  const named = (name: string) => interfaces.find((found) => found.name === name);
  assert.deepEqual(named("eno1"), {
    name: "eno1",
    receive: { bytes: 918273645546, packets: 812345678, errors: 3, drops: 1204 },
    transmit: { bytes: 718273645546, packets: 612345678, errors: 0, drops: 2 },
    up: true,
    speedBytesPerSecond: 3.125e9,
  });
  assert.equal(named("eno2")?.up, false);
  assert.equal("speedBytesPerSecond" in (named("eno2") ?? {}), false);
  assert.equal("up" in (named("lo") ?? {}), false);
});

test("a network counter past 2^53 is read; an invalid line loses only its interface", async (context) => {
  const host = await unpackHost(context, "two-sockets");
  const path = join(host.procRoot, "net/dev");
  const text = await readFile(path, "utf8");
  await writeFile(path, text.replace("918273645546", "9107199254740993").replace(/(eno2:\s*)\d+/, "$1-"));
  const interfaces = read(await readNetworkInterfaces(host));
  assert.equal(interfaces.find(({ name }) => name === "eno1")?.receive.bytes, 9_107_199_254_740_992);
  assert.deepEqual(
    interfaces.map(({ name }) => name),
    read(await readNetworkInterfaces(server)).flatMap(({ name }) => (name === "eno2" ? [] : [name])),
  );
});

test("a negative line of meminfo is left out", async (context) => {
  const host = await unpackHost(context, "small-vm");
  await appendFile(join(host.procRoot, "meminfo"), "Percpu:  18446744073709551612 kB\n");
  const memory = read(await readMemory(host));
  assert.equal(memory.totalBytes, 4_014_680 * 1024);
  assert.equal(memory.bytesByName.has("Percpu"), false);
});

test("firmware identity is read where there is firmware", async () => {
  assert.equal(read(await readDmi(server)).productName, "PowerEdge R650");
  assert.equal((await readDmi(vm)).kind, "unsupported");
});

test("a placeholder of the firmware is no serial number", async (context) => {
  const sysRoot = await temporary(context);
  await mkdir(join(sysRoot, "class/dmi/id"), { recursive: true });
  await writeFile(join(sysRoot, "class/dmi/id/product_serial"), "To Be Filled By O.E.M.\n");
  await writeFile(join(sysRoot, "class/dmi/id/sys_vendor"), "Supermicro\n");
  assert.deepEqual(read(await readDmi({ ...vm, sysRoot })), { systemVendor: "Supermicro" });
});

test("the operating system's name is unquoted; the boot has its id and time", async (context) => {
  const etcRoot = await temporary(context);
  await writeFile(join(etcRoot, "os-release"), 'ID=debian\nPRETTY_NAME="Debian \\"13\\""\n');
  assert.deepEqual(read(await readOperatingSystem({ ...server, etcRoot })), {
    hostname: "r650-17",
    os: 'Debian "13"',
    kernel: "6.12.48+deb13-amd64",
    bootId: "0f6a1c1e-7a0c-4e1b-9b52-3a8f6d2c4e11",
    bootedAtMs: 1_760_000_000_000,
  });
});

test("an invalid machine id is refused", async (context) => {
  const etcRoot = await temporary(context);
  await writeFile(join(etcRoot, "machine-id"), "uninitialized\n");
  assert.equal((await readMachineId({ ...vm, etcRoot })).kind, "failed");
});

test("/dev/kvm is absent, opens or cannot be opened", async (context) => {
  const devRoot = await temporary(context);
  assert.equal((await readKvm({ ...server, devRoot })).kind, "unsupported");
  await writeFile(join(devRoot, "kvm"), "");
  assert.deepEqual(read(await readKvm({ ...server, devRoot })), { nested: true });
  await rm(join(devRoot, "kvm"));
  await mkdir(join(devRoot, "kvm"));
  const kvm = await readKvm({ ...server, devRoot });
  assert.ok(kvm.kind === "failed");
  assert.equal(kvm.code, "EISDIR");
});
