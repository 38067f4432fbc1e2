import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { AgentProcess } from "../support/agent-process.ts";
import { spawnBound } from "../support/bound-child.ts";
import { bootedMarker, guestFilesIn, guestXml } from "../support/guest.ts";
import { Libvirtd, libvirtdUnavailable } from "../support/libvirtd.ts";
import { freePort } from "../support/ports.ts";
import { virsh } from "../support/virsh.ts";
import { eventually } from "../support/wait.ts";

const exporters = ["prometheus-node-exporter", "prometheus-libvirt-exporter"];
const missing = exporters.filter((name) => !existsSync(`/usr/bin/${name}`));
const skip =
  libvirtdUnavailable() || (missing.length > 0 && `${missing.join(", ")}: run scripts/setup --tests`);

test("the agent's metrics equal Debian's exporters' for the same machine and guest", { skip }, async (t) => {
  const libvirtd = await Libvirtd.start();
  t.after(() => libvirtd.stop());
  await startGuest(libvirtd);
  const agent = await AgentProcess.start({
    config: { libvirt: { uri: libvirtd.uri }, vm: { sampleIntervalSeconds: 2 } },
  });
  t.after(() => agent.stop());
  const node = await startExporter(t, "prometheus-node-exporter", [
    "--collector.filesystem.fs-types-exclude=^$",
    "--collector.filesystem.mount-points-exclude=^$",
  ]);
  const guests = await startExporter(t, "prometheus-libvirt-exporter", ["--libvirt.uri", libvirtd.uri]);
  const own = (): Promise<Series[]> => scrape(`http://${agent.metricsAddress}/metrics`);
  const theirs = async (): Promise<Series[]> => [...(await scrape(node)), ...(await scrape(guests))];

  // Counters only grow: the agent's value between two readings of the exporters lies between these.
  const before = await theirs();
  const startMs = Date.now();
  const ours = await eventually(
    async () => {
      const series = await own();
      const readAt = readAgain.map((collector) =>
        valueOf(series, "socle_collector_last_success_timestamp_seconds", { collector }),
      );
      return readAt.every((at) => at !== undefined && at * 1000 > startMs) && series;
    },
    { what: "the agent's next readings", timeoutMs: 60_000, intervalMs: 250 },
  );
  const after = await theirs();

  const problems: string[] = [];
  let compared = 0;
  for (const { name, theirName, labels, theirLabels, slack = 0 } of pairs(ours, before)) {
    const value = valueOf(ours, name, labels);
    const low = sumOf(before, theirName, theirLabels);
    const high = sumOf(after, theirName, theirLabels);
    if (value === undefined || low === undefined || high === undefined) {
      problems.push(`${name}${JSON.stringify(labels)}: ${value}, exporter: ${low} to ${high}`);
      continue;
    }
    compared += 1;
    // node_exporter multiplies by 0.001, the agent divides by 1,000: the results differ in the last bit.
    const leeway = slack + 2 * Number.EPSILON * Math.abs(high);
    const [least, most] = [Math.min(low, high) - leeway, Math.max(low, high) + leeway];
    if (value < least || value > most)
      problems.push(`${name}${JSON.stringify(labels)} is ${value}, the exporter ${low} to ${high}`);
  }
  assert.deepEqual(problems, []);
  assert.ok(compared > 50, `only ${compared} values were compared`);
});

const readAgain = [
  ...["host_cpu", "host_nic", "host_activity", "host_disk_io", "host_network_stack"],
  ...["vm_cpu", "vm_disk"],
];

interface Pair {
  readonly name: string;
  readonly labels: Labels;
  readonly theirName: string;
  readonly theirLabels: Labels;
  /** The tolerance for values that are not read at the same time. */
  readonly slack?: number;
}

const MIB = 2 ** 20;

/** Values that both export. */
function* pairs(ours: readonly Series[], theirs: readonly Series[]): Generator<Pair> {
  const plain = (name: string, theirName: string, slack: number): Pair => ({
    name,
    labels: {},
    theirName,
    theirLabels: {},
    slack,
  });
  yield plain("socle_host_boot_timestamp_seconds", "node_boot_time_seconds", 2);
  const memory = {
    total: ["MemTotal", 0],
    available: ["MemAvailable", 512],
    free: ["MemFree", 512],
  } as const;
  for (const [kind, [word, mib]] of Object.entries(memory))
    yield {
      ...plain("socle_host_memory_bytes", `node_memory_${word}_bytes`, mib * MIB),
      labels: { kind },
    };
  for (const mode of ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"]) {
    const labels = { mode };
    // The kernel's idle and iowait may go back by a tick.
    yield {
      name: "socle_host_cpu_seconds_total",
      labels,
      theirName: "node_cpu_seconds_total",
      theirLabels: labels,
      slack: 0.1,
    };
  }
  for (const resource of ["cpu", "memory", "io"] as const) {
    const name = `socle_host_pressure_${resource}_waiting_seconds_total`;
    if (valueOf(ours, name, {}) !== undefined)
      yield plain(name, `node_pressure_${resource}_waiting_seconds_total`, 0.1);
  }
  for (const { labels } of ours.filter(({ name }) => name === "socle_host_nic_receive_bytes_total")) {
    const { device = "" } = labels;
    // Other processes on this machine create and remove theirs.
    if (valueOf(theirs, "node_network_receive_bytes_total", { device }) === undefined) continue;
    for (const direction of ["receive", "transmit"])
      for (const [what, word] of [
        ["bytes", "bytes"],
        ["packets", "packets"],
        ["errors", "errs"],
      ] as const)
        yield {
          name: `socle_host_nic_${direction}_${what}_total`,
          labels,
          theirName: `node_network_${direction}_${word}_total`,
          theirLabels: { device },
        };
  }
  for (const { labels } of ours.filter(({ name }) => name === "socle_host_filesystem_size_bytes")) {
    const mountpoint = mountOf(labels["path"] ?? "", theirs);
    const theirLabels = { mountpoint };
    yield {
      name: "socle_host_filesystem_size_bytes",
      labels,
      theirName: "node_filesystem_size_bytes",
      theirLabels,
    };
    yield {
      name: "socle_host_filesystem_available_bytes",
      labels,
      theirName: "node_filesystem_avail_bytes",
      theirLabels,
      slack: 512 * MIB,
    };
  }
  yield* activityPairs(ours);
  yield* vmPairs(ours);
}

/** Load, disks and the network stack. */
function* activityPairs(ours: readonly Series[]): Generator<Pair> {
  const none: Labels = {};
  for (const [ownWord, word, slack] of [
    ["context_switches_total", "context_switches_total", 0],
    ["interrupts_total", "intr_total", 0],
    ["forks_total", "forks_total", 0],
    ["major_faults_total", "vmstat_pgmajfault", 0],
    ["oom_kills_total", "vmstat_oom_kill", 0],
    ["files_open", "filefd_allocated", 1000],
    ["files_open_limit", "filefd_maximum", 0],
    ["softnet_dropped_total", "softnet_dropped_total", 0],
    ["softnet_squeezed_total", "softnet_times_squeezed_total", 0],
    ["conntrack_entries", "nf_conntrack_entries", 100],
    ["conntrack_entries_limit", "nf_conntrack_entries_limit", 0],
  ] as const) {
    const name = `socle_host_${ownWord}`;
    if (valueOf(ours, name, none) !== undefined)
      yield { name, labels: none, theirName: `node_${word}`, theirLabels: none, slack };
  }
  for (const minutes of ["1", "5", "15"]) {
    const theirName = `node_load${minutes}`;
    yield { name: "socle_host_load_average", labels: { minutes }, theirName, theirLabels: none, slack: 2 };
  }
  for (const [state, word] of [
    ["orphaned", "orphan"],
    ["time_wait", "tw"],
  ] as const) {
    const theirName = `node_sockstat_TCP_${word}`;
    yield { name: "socle_host_tcp_sockets", labels: { state }, theirName, theirLabels: none, slack: 100 };
  }
  for (const { labels } of ours.filter(({ name }) => name === "socle_host_disk_read_ops_total"))
    for (const [ownWord, word] of [
      ["read_ops", "reads_completed"],
      ["read_merged", "reads_merged"],
      ["read_bytes", "read_bytes"],
      ["read_seconds", "read_time_seconds"],
      ["write_ops", "writes_completed"],
      ["write_merged", "writes_merged"],
      ["write_bytes", "written_bytes"],
      ["write_seconds", "write_time_seconds"],
      ["discard_ops", "discards_completed"],
      ["discard_seconds", "discard_time_seconds"],
      ["flush_ops", "flush_requests"],
      ["flush_seconds", "flush_requests_time_seconds"],
      ["io_seconds", "io_time_seconds"],
      ["io_weighted_seconds", "io_time_weighted_seconds"],
    ] as const) {
      const name = `socle_host_disk_${ownWord}_total`;
      if (valueOf(ours, name, labels) !== undefined)
        yield { name, labels, theirName: `node_disk_${word}_total`, theirLabels: labels };
    }
}

function* vmPairs(ours: readonly Series[]): Generator<Pair> {
  const vm = ours.find(({ name, labels }) => name === "socle_vm_info" && labels["name"] === "compared")
    ?.labels["vm"];
  assert.ok(vm !== undefined, "the agent does not know the guest");
  const theirLabels = { domain: "compared" };
  // The exporters count its process in ticks, the agent its cgroup if there is one.
  const cpu = "libvirt_domain_info_cpu_time_seconds_total";
  yield { name: "socle_vm_cpu_seconds_total", labels: { vm }, theirName: cpu, theirLabels, slack: 0.5 };
  const memory = { balloon: "memory_usage", maximum: "maximum_memory" };
  for (const [kind, word] of Object.entries(memory)) {
    const theirName = `libvirt_domain_info_${word}_bytes`;
    yield { name: `socle_vm_memory_${kind}_bytes`, labels: { vm }, theirName, theirLabels };
  }
  const device = "vda";
  for (const [ownWord, word] of [
    ["read_bytes", "read_bytes"],
    ["read_ops", "read_requests"],
    ["write_bytes", "write_bytes"],
    ["write_ops", "write_requests"],
  ] as const) {
    const theirName = `libvirt_domain_block_stats_${word}_total`;
    yield { name: `socle_vm_disk_${ownWord}_total`, labels: { vm, device }, theirName, theirLabels };
  }
  const nic = ours.find(
    ({ name, labels }) => name === "socle_vm_network_receive_bytes_total" && labels["vm"] === vm,
  );
  for (const direction of ["receive", "transmit"])
    for (const what of ["bytes", "packets", "errors", "drops"])
      yield {
        name: `socle_vm_network_${direction}_${what}_total`,
        labels: { vm, device: nic?.labels["device"] ?? "" },
        theirName: `libvirt_domain_interface_stats_${direction}_${what}_total`,
        theirLabels,
      };
}

/** A Linux guest with a disk that it reads and writes, and a NIC that requests an address. */
async function startGuest(libvirtd: Libvirtd): Promise<void> {
  await libvirtd.run("ip", ["link", "add", "br-compared", "type", "bridge"]);
  await libvirtd.run("ip", ["link", "set", "br-compared", "up"]);
  const linux = await guestFilesIn(libvirtd.imagesDirectory);
  const consoleLog = join(libvirtd.directory, "log/console");
  const devices =
    `<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='${linux.bootSector}'/>` +
    `<target dev='vda' bus='virtio'/></disk>` +
    `<interface type='bridge'><source bridge='br-compared'/><model type='virtio'/></interface>`;
  const file = join(libvirtd.directory, "compared.xml");
  await writeFile(file, guestXml({ name: "compared", boot: { linux, words: "dhcp" }, consoleLog, devices }));
  await virsh(libvirtd.uri, ["create", file]);
  await eventually(async () => (await readFile(consoleLog, "utf8")).includes(bootedMarker), {
    what: "the guest to boot",
    timeoutMs: 120_000,
  });
}

async function startExporter(t: TestContext, command: string, options: readonly string[]): Promise<string> {
  const address = `127.0.0.1:${await freePort()}`;
  const exporter = spawnBound(command, [...options, "--web.listen-address", address]);
  t.after(() => exporter.kill());
  let words = "";
  for (const output of [exporter.stdout, exporter.stderr])
    output.on("data", (chunk: Buffer) => (words = (words + chunk.toString()).slice(-2000)));
  const url = `http://${address}/metrics`;
  try {
    await eventually(async () => (await scrape(url)).length > 0, {
      what: `${command} to answer`,
      timeoutMs: 30_000,
    });
  } catch (cause) {
    throw new Error(`${command} printed: ${words}`, { cause });
  }
  return url;
}

type Labels = Readonly<Record<string, string>>;

interface Series {
  readonly name: string;
  readonly labels: Labels;
  readonly value: number;
}

async function scrape(url: string): Promise<Series[]> {
  const response = await fetch(url, {
    headers: { Accept: "text/plain;version=0.0.4" },
    signal: AbortSignal.timeout(10_000),
  });
  assert.equal(response.status, 200);
  const lines = (await response.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return lines.map((line) => {
    const [, name = "", labels = "", value] = /^([^{ ]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label, text]) => [label, text]);
    return { name, labels: Object.fromEntries(pairs) as Labels, value: Number(value) };
  });
}

function having(series: readonly Series[], name: string, labels: Labels): Series[] {
  return series.filter(
    (each) =>
      each.name === name && Object.entries(labels).every(([label, value]) => each.labels[label] === value),
  );
}

function valueOf(series: readonly Series[], name: string, labels: Labels): number | undefined {
  return having(series, name, labels)[0]?.value;
}

/** The sum of all series with these labels, since the exporters have one series per CPU. */
function sumOf(series: readonly Series[], name: string, labels: Labels): number | undefined {
  const found = having(series, name, labels);
  return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0);
}

function mountOf(path: string, theirs: readonly Series[]): string {
  return having(theirs, "node_filesystem_size_bytes", {})
    .map(({ labels }) => labels["mountpoint"] ?? "")
    .filter(
      (mountpoint) => path === mountpoint || path.startsWith(mountpoint === "/" ? "/" : `${mountpoint}/`),
    )
    .reduce((longest, mountpoint) => (mountpoint.length > longest.length ? mountpoint : longest), "");
}
