import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { cpus } from "node:os";
import * as p from "../../../agent/libvirt/index.ts";
import { lines, names, printed, valueOf, type Proofs } from "./world.ts";

const ALL = -1;

async function meminfoKib(name: string): Promise<number> {
  return Number.parseInt(printed(await readFile("/proc/meminfo", "utf8"), name) ?? "", 10);
}

/** Within a tenth, since it is read at another moment. */
function near(actual: number | undefined, expected: number): void {
  assert.ok(
    actual !== undefined && Math.abs(actual - expected) < expected / 10,
    `${actual} near ${expected}`,
  );
}

export const node: Proofs = {
  "the machine's processors and memory": async ({ on, virsh }) => {
    const theirs = await virsh("nodeinfo");
    const info = await on.answers(p.nodeGetInfo, {});
    assert.equal(info.model, printed(theirs, "CPU model"));
    assert.equal(info.cpus, cpus().length);
    assert.equal(String(info.nodes), printed(theirs, "NUMA cell(s)"));
    assert.equal(`${info.memory} KiB`, printed(theirs, "Memory size"));
    assert.equal(String(info.threads), printed(theirs, "Thread(s) per core"));

    const map = await on.answers(p.nodeGetCpuMap, { needMap: true, needOnline: true, flags: 0 });
    assert.equal(map.online, cpus().length);
    assert.equal((map.cpumap[0] ?? 0) & 1, 1, "CPU 0 is online");
    const theirMap = await virsh("nodecpumap");
    assert.equal(String(map.ret), printed(theirMap, "CPUs present"));
    assert.equal(String(map.online), printed(theirMap, "CPUs online"));

    const { freeMem } = await on.answers(p.nodeGetFreeMemory, {});
    assert.ok(freeMem > 0 && freeMem <= (await meminfoKib("MemTotal")) * 1024);
    const { cells } = await on.answers(p.nodeGetCellsFreeMemory, { startCell: 0, maxcells: 64 });
    assert.equal(cells.length, info.nodes);
    near(cells[0], freeMem / info.nodes);
  },

  "statistics are read in two calls: the count, then the values": async ({ on }) => {
    const { nparams } = await on.answers(p.nodeGetCpuStats, { cpuNum: ALL, nparams: 0, flags: 0 });
    const { params } = await on.answers(p.nodeGetCpuStats, { cpuNum: ALL, nparams, flags: 0 });
    assert.equal(params.length, nparams);
    const idle = params.find(({ field }) => field === "idle");
    const idleTicks = Number((await readFile("/proc/stat", "utf8")).split("\n")[0]?.split(/\s+/)[4]);
    near(idle?.value, idleTicks * 10_000_000);

    const memory = await on.answers(p.nodeGetMemoryStats, { cellNum: ALL, nparams: 0, flags: 0 });
    const stats = await on.answers(p.nodeGetMemoryStats, {
      cellNum: ALL,
      nparams: memory.nparams,
      flags: 0,
    });
    const total = stats.params.find(({ field }) => field === "total");
    assert.equal(total?.value, await meminfoKib("MemTotal"));
  },

  "pages and page sharing of the machine, which stay unchanged": async ({ on, virsh }) => {
    const cell = { startCell: 0, cellCount: 1, flags: 0 };
    const { counts } = await on.answers(p.nodeGetFreePages, { pages: [4], ...cell });
    assert.equal(counts.length, 1);
    near(counts[0], Number.parseInt(printed(await virsh("freepages", "0", "4"), "4KiB") ?? "", 10));
    const none = { pageSizes: [2048], pageCounts: [0], ...cell, flags: p.NodeAllocPagesFlags.ADD };
    assert.deepEqual(await on.answers(p.nodeAllocPages, none), { ret: 1 });

    const { nparams } = await on.answers(p.nodeGetMemoryParameters, { nparams: 0, flags: 0 });
    const { params } = await on.answers(p.nodeGetMemoryParameters, { nparams, flags: 0 });
    const before = await readFile("/sys/kernel/mm/ksm/pages_to_scan", "utf8");
    assert.equal(String(valueOf(params, "shm_pages_to_scan")), before.trim());
    const scan = params.filter(({ field }) => field === "shm_pages_to_scan");
    await on.answers(p.nodeSetMemoryParameters, { params: scan, flags: 0 });
    assert.equal(await readFile("/sys/kernel/mm/ksm/pages_to_scan", "utf8"), before);
  },

  "devices of the host": async ({ on, virsh }) => {
    const listed = await on.answers(p.connectListAllNodeDevices, { needResults: true, flags: 0 });
    assert.deepEqual(names(listed.devices), lines(await virsh("nodedev-list")));
    const nets = await on.answers(p.connectListAllNodeDevices, {
      needResults: true,
      flags: p.ConnectListAllNodeDeviceFlags.CAP_NET,
    });
    assert.deepEqual(names(nets.devices), lines(await virsh("nodedev-list", "net")));
    const { dev } = await on.answers(p.nodeDeviceLookupByName, { name: "computer" });
    assert.deepEqual(dev, { name: "computer" });
    assert.equal((await on.answers(p.nodeDeviceGetParent, dev)).parentName, null);
    const { xml } = await on.answers(p.nodeDeviceGetXmlDesc, { ...dev, flags: 0 });
    assert.equal(xml.trim(), await virsh("nodedev-dumpxml", "computer"));
    assert.deepEqual((await on.answers(p.nodeDeviceListCaps, { ...dev, maxnames: 8 })).names, ["system"]);
    const [net] = nets.devices;
    assert.ok(net);
    assert.equal((await on.answers(p.nodeDeviceGetParent, net)).parentName, "computer");
    await on.refuses(p.nodeDeviceLookupByName, { name: "socle-proc-none" }, "LIBVIRT_NO_NODE_DEVICE");
  },

  "a device that is no PCI device cannot be passed to a guest": async ({ on }) => {
    const detach = { name: "computer", driverName: null, flags: 0 };
    // Without VFIO on the machine the daemon stops here.
    const reasons = ["LIBVIRT_INVALID_ARG", "LIBVIRT_ARGUMENT_UNSUPPORTED"];
    await on.answersUnless(p.nodeDeviceDetachFlags, detach, reasons);
    await on.refuses(p.nodeDeviceReAttach, { name: "computer" }, "LIBVIRT_INVALID_ARG");
    await on.refuses(p.nodeDeviceReset, { name: "computer" }, "LIBVIRT_INVALID_ARG");
  },

  "the host's interfaces, with the test driver only": async ({ on, onTestDriver }) => {
    await on.answersUnless(p.connectListAllInterfaces, { needResults: true, flags: 0 }, [
      "LIBVIRT_NO_SUPPORT",
    ]);
    const listed = await onTestDriver.answers(p.connectListAllInterfaces, { needResults: true, flags: 0 });
    const iface = { name: "eth1", mac: "aa:bb:cc:dd:ee:ff" };
    assert.deepEqual(listed, { ifaces: [iface], ret: 1 });
    assert.deepEqual(await onTestDriver.answers(p.interfaceLookupByName, { name: "eth1" }), { iface });
    assert.deepEqual(await onTestDriver.answers(p.interfaceLookupByMacString, { mac: iface.mac }), { iface });
    assert.deepEqual(await onTestDriver.answers(p.interfaceIsActive, { iface }), { active: true });
    const { xml } = await onTestDriver.answers(p.interfaceGetXmlDesc, { iface, flags: 0 });
    assert.match(xml, /^<interface type='ethernet' name='eth1'>/);
    await onTestDriver.refuses(p.interfaceLookupByName, { name: "eth9" }, "LIBVIRT_NO_INTERFACE");
  },
};
