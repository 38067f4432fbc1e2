import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, before } from "node:test";
import { promisify } from "node:util";
import { configSchema } from "../../agent/config/schema.ts";
import { parseNumberList } from "../../agent/hardware/reading.ts";
import { probeCommand } from "../../agent/hardware/system/identity.ts";
import { HostService } from "../../agent/host/host-service.ts";
import type { HostSnapshot } from "../../agent/host/host.ts";
import { systemClock } from "../../agent/kernel/clock.ts";
import { silentLog } from "../../agent/kernel/log.ts";
import { Libvirt } from "../../agent/libvirt/index.ts";
import { FakeRecord } from "../support/host/fake-record.ts";
import { eventually } from "../support/wait.ts";

const run = promisify(execFile);
const name = `socle-host-test-${process.pid}`;
const probe = join(import.meta.dirname, "../../agent/hardware/system/inventory-probe.ts");

let directory: string;
let libvirt: Libvirt;
let host: HostService;
let startedInMs: number;
const stop = new AbortController();
let done: Promise<void> = Promise.resolve();

async function virsh(...args: string[]): Promise<string> {
  return (await run("virsh", ["-q", "-c", "qemu:///system", ...args])).stdout;
}

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "socle-host-"));
  libvirt = await Libvirt.connect({ uri: "qemu:///system", log: silentLog });
  host = new HostService({
    config: configSchema.parse({ state: { directory } }),
    libvirt,
    record: new FakeRecord(),
    clock: systemClock,
    log: silentLog,
    agentVersion: "0.0.0",
    identityCommand: probeCommand(probe),
    onConditionChange: () => undefined,
  });
  const startMs = performance.now();
  await new Promise<void>((ready) => {
    done = host.run(stop.signal, ready);
  });
  startedInMs = performance.now() - startMs;
});

after(async () => {
  stop.abort();
  await done;
  await libvirt.close();
  await virsh("pool-destroy", name).catch(() => undefined);
  await virsh("net-destroy", name).catch(() => undefined);
  await rm(directory, { recursive: true });
});

async function until<T>(what: string, look: (snapshot: HostSnapshot) => T | undefined): Promise<T> {
  return await eventually(() => look(host.snapshot()), { what });
}

test("the whole machine is read", () => {
  const { inventory } = host.snapshot();
  assert.deepEqual(inventory.incompleteReasons, []);
  assert.equal(inventory.complete, true);
});

test("memory equals virsh nodememstats, in the cells of virsh capabilities", async () => {
  host.ledger.setFootprints([], true);
  const { inventory, capacity } = host.snapshot();
  const totalKiB = Number(/total\s*:\s*(\d+) KiB/.exec(await virsh("nodememstats"))?.[1]);
  const capabilities = await virsh("capabilities");
  const cells = [...capabilities.matchAll(/<cell id='(\d+)'>/g)].map((match) => Number(match[1]));
  assert.deepEqual(
    inventory.cells.map(({ id }) => id),
    cells,
  );
  const memoryBytes = inventory.cells.reduce((bytes, cell) => bytes + cell.memoryBytes, 0);
  assert.equal(memoryBytes, totalKiB * 1024);
  const cpus = inventory.cells.reduce((count, cell) => count + cell.cpus.length, 0);
  assert.equal(cpus, [...capabilities.matchAll(/<cpu id='\d+' socket_id/g)].length);
  const sold = capacity.cells.flatMap(({ resources }) => resources);
  const memory = sold.filter(({ resource }) => resource === "memory");
  assert.ok(memory.every(({ available = 0 }) => available > 0));
  assert.equal(inventory.cpu?.architecture, /<arch>(.*)<\/arch>/.exec(capabilities)?.[1]);
});

test("the host's identity has virsh's versions and no raw machine id", async () => {
  const { identity } = host.snapshot();
  assert.equal(identity.libvirtVersion, /library: libvirt ([\d.]+)/.exec(await virsh("version"))?.[1]);
  assert.equal(identity.kernel, (await run("uname", ["-r"])).stdout.trim());
  assert.match(identity.id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
});

test("every condition is probed soon after the start, and libvirt is healthy", async () => {
  await until("all probes", ({ health }) =>
    health.conditions.every(({ evidence }) => !/not probed yet|not read yet/.test(evidence))
      ? true
      : undefined,
  );
  const { health } = host.snapshot();
  assert.equal(health.alive, "true");
  assert.equal(health.conditions.find(({ type }) => type === "LibvirtUnresponsive")?.status, "false");
});

test("a pool enters the inventory with its space when libvirt has it, and leaves it afterwards", async () => {
  const { generation } = host.snapshot().capacity;
  await virsh("pool-create-as", name, "dir", "--target", directory);
  const pool = await until("the pool", ({ inventory }) =>
    inventory.storagePools.find((found) => found.name === name),
  );
  assert.deepEqual([pool.type, pool.active, pool.presence, pool.path], ["dir", true, "present", directory]);
  const info = await virsh("pool-info", name, "--bytes");
  assert.equal(pool.capacityBytes, Number(/Capacity:\s+(\d+)/.exec(info)?.[1]));
  // A directory shares its filesystem's bytes with other files.
  assert.match(pool.sharedId ?? "", /^local:\d+:\d+$/);
  const availableBytes = Number(/Available:\s+(\d+)/.exec(info)?.[1]);
  // Without root's reserve, which libvirt counts and a guest's disk cannot use.
  assert.ok((pool.availableBytes ?? Infinity) <= availableBytes);
  assert.ok(host.snapshot().capacity.generation > generation);
  assert.equal(pool.provisionedBytes, 0);
  for (const format of ["qcow2", "raw"])
    await virsh("vol-create-as", name, `thin.${format}`, "5G", "--allocation", "0", "--format", format);
  await virsh("pool-refresh", name);
  await until("what both may grow to", ({ inventory }) =>
    inventory.storagePools.find((found) => found.name === name && found.provisionedBytes === 10 * 1024 ** 3),
  );
  await virsh("pool-destroy", name);
  await until("the pool's end", ({ inventory }) =>
    inventory.storagePools.some((found) => found.name === name) ? undefined : true,
  );
});

test("a network is in the inventory with its bridge", async () => {
  const xml = join(directory, "network.xml");
  await writeFile(xml, `<network><name>${name}</name><bridge name='soclehost0'/></network>`);
  await virsh("net-create", xml);
  const network = await until("the network", ({ inventory }) =>
    inventory.networks.find((found) => found.name === name),
  );
  const { observedAtMs, uuid = "", ...rest } = network;
  const plain = { forwardMode: "", dhcp: false, addresses: [], autostart: false, persistent: false };
  assert.deepEqual(rest, { name, bridge: "soclehost0", active: true, presence: "present", ...plain });
  assert.match(await virsh("net-dumpxml", name), new RegExp(`<uuid>${uuid}</uuid>`));
  assert.ok(observedAtMs <= Date.now());
  await virsh("net-destroy", name);
  await until("the network's end", ({ inventory }) =>
    inventory.networks.some((found) => found.name === name) ? undefined : true,
  );
});

test("a thousand snapshots cost less than reading the machine once", (t) => {
  const startMs = performance.now();
  for (let turn = 0; turn < 1000; turn += 1) host.snapshot();
  const snapshotsMs = performance.now() - startMs;
  t.diagnostic(`${snapshotsMs} ms, and ${startedInMs} ms`);
  assert.ok(snapshotsMs < startedInMs);
});

const xmlOf = (of: string, tag: string): string[] =>
  [...of.matchAll(new RegExp(`<${tag}[^>]*>([^<]*)</${tag}>`, "g"))].map((match) => match[1] ?? "");
const ascending = (names: Iterable<string>): string[] => [...new Set(names)].sort();

test("PCI devices equal virsh nodedev-list without the board's own, with the same names", async () => {
  const listed = (await virsh("nodedev-list", "--cap", "pci")).trim().split("\n").filter(Boolean);
  const wanted: string[] = [];
  for (const name of listed) {
    const xml = await virsh("nodedev-dumpxml", name);
    const classCode = Number(xmlOf(xml, "class")[0]);
    if ([0x05, 0x06, 0x08].includes(classCode >> 16)) continue;
    const [, domain, bus, slot, pciFunction] = /^pci_(\w+)_(\w+)_(\w+)_(\w+)$/.exec(name) ?? [];
    wanted.push(`${domain}:${bus}:${slot}.${pciFunction} ${classCode} ${xmlOf(xml, "product")[0] ?? ""}`);
  }
  const { devices } = host.snapshot().inventory;
  const reported = devices.map(
    ({ address, classCode, product = "" }) => `${address} ${classCode} ${product}`,
  );
  assert.deepEqual(reported, wanted.sort());
});

test("the compatibility digest can be computed from virsh's output by the contract's rules", async () => {
  const { compatibility } = host.snapshot().inventory;
  assert.ok(compatibility !== undefined);
  const isKvm = compatibility.accelerator === "kvm";
  const virttype = isKvm ? "kvm" : "qemu";
  const domain = await virsh("domcapabilities", "--virttype", virttype, "--machine", "q35");
  const model = /<mode name='host-model' supported='yes'>([\s\S]*?)<\/mode>/.exec(domain)?.[1] ?? "";
  const capabilities = await virsh("capabilities");
  const arch = xmlOf(capabilities, "arch")[0] ?? "";
  const hostCpu = /<cpu>[\s\S]*?<\/cpu>/.exec(capabilities)?.[0] ?? "";
  const own = [...capabilities.matchAll(/<guest>[\s\S]*?<\/guest>/g)]
    .map(([guest]) => guest)
    .filter((guest) => guest.includes("<os_type>hvm<") && guest.includes(`<arch name='${arch}'>`));
  const machines = [...own.join("").matchAll(/<machine(?: canonical='([^']*)')?[^>]*>([^<]*)</g)].map(
    ([, canonical, name = ""]) => canonical ?? name,
  );
  const versions = await virsh("version");
  const named = (pattern: RegExp): string[] => [...hostCpu.matchAll(pattern)].map(([, name = ""]) => name);
  const features = [...model.matchAll(/<feature policy='(\w+)' name='([^']+)'/g)].map(
    ([, policy, name]) => `${policy}:${name}`,
  );
  const lines = [
    `arch ${arch}`,
    `accelerator ${compatibility.accelerator}`,
    `cpu ${xmlOf(model, "vendor")[0] ?? ""} ${xmlOf(model, "model")[0] ?? ""}`,
    ...ascending(features).map((feature) => `feature ${feature}`),
    ...(isKvm ? [`host-cpu ${/<maxphysaddr[^>]* bits='(\d+)'/.exec(hostCpu)?.[1] ?? 0}`] : []),
    ...(isKvm ? ascending(named(/<feature name='([^']+)'/g)).map((name) => `host-feature ${name}`) : []),
    ...ascending(machines).map((machine) => `machine ${machine}`),
    `qemu ${/hypervisor: QEMU ([\d.]+)/.exec(versions)?.[1]}`,
    `libvirt ${/library: libvirt ([\d.]+)/.exec(versions)?.[1]}`,
  ];
  const digest = createHash("sha256")
    .update(lines.map((line) => `${line}\n`).join(""))
    .digest("hex");
  assert.equal(compatibility.digest, digest);
});

test("cores and traits equal virsh's output", async () => {
  const { cells, traits } = host.snapshot().inventory;
  const capabilities = await virsh("capabilities");
  const reported = [...capabilities.matchAll(/siblings='([^']+)'/g)].map(([, list = ""]) => list);
  const read = cells.flatMap(({ siblings = [] }) => siblings.map((core) => core.join(",")));
  assert.deepEqual(
    ascending(read),
    ascending(reported.map((list) => parseNumberList(list, "siblings").join(","))),
  );
  const domain = await virsh("domcapabilities", "--machine", "q35");
  assert.equal(
    traits.includes("uefi"),
    /<enum name='firmware'>\s*(<value>bios<\/value>\s*)?<value>efi</.test(domain),
  );
  assert.equal(traits.includes("vtpm"), /<enum name='backendModel'>[\s\S]*?<value>emulator</.test(domain));
  assert.equal(traits.includes("tcg"), capabilities.includes("<domain type='qemu'/>"));
});
