// Writes agent/page/page.png, the screenshot of the status page in README.md: the real page of a simulated host with two
// NUMA cells, twenty VMs and one condition, in Debian's Chromium (scripts/setup --tests installs it).
//
//   node --import tsx scripts/screenshot.ts [FILE]
import { join } from "node:path";
import { Browser } from "../test/support/browser.ts";
import { stats } from "../test/support/metrics/fixed-sources.ts";
import { hostOf, PageStage, vmOf, well } from "../test/support/page-stage.ts";

const GIB = 2 ** 30;
const MINUTE_MS = 60_000;
const file = process.argv[2] ?? join(import.meta.dirname, "../agent/page/page.png");
const names = [
  ["acme", ["build-1", "build-2", "web-1", "web-2", "web-3", "db-1", "cache-1"]],
  ["blue", ["api-1", "api-2", "queue-1", "search-1", "search-2"]],
  ["coral", ["shop-1", "shop-2", "shop-db-1", "mail-1", "mail-2"]],
  ["dune", ["render-1", "render-2", "lab-1"]],
] as const;

const stage = await PageStage.start();
try {
  furnish(stage);
  await sample(stage, 60);
  const browser = await Browser.start();
  try {
    const page = await browser.open(stage.url, { width: 1280, height: 951 });
    await page.until(`document.querySelector("#link").textContent === "live"`, "the page to be live");
    await page.until(`document.querySelector("tbody .line[d^=M]")`, "lines in the graphs");
    await page.screenshot(file, { whole: false });
    if (page.errors.length > 0) throw new Error(`the page has errors: ${page.errors.join("\n")}`);
  } finally {
    await browser.stop();
  }
} finally {
  await stage.stop();
}
process.stdout.write(`${file}\n`);

/** A healthy host except for a worn disk, with a running operation. */
function furnish(stage: PageStage): void {
  const host = hostOf({ cells: 2, cpus: 32, used: 0.45, name: "node-17" });
  const worn = {
    ...well("DiskWear"),
    status: "true" as const,
    effect: "degraded" as const,
    reason: "DiskWornOut",
    evidence: "nvme1 (Micron 7450, serial 2239E6A1) is worn to 91.0% of its life, 90.0% is the limit",
    sinceMs: Date.now() - 95 * MINUTE_MS,
    subjects: ["nvme1"],
  };
  const { health } = host;
  stage.snapshot = {
    ...host,
    identity: { ...host.identity, agentVersion: "0.1.0" },
    health: { ...health, state: "degraded", conditions: [worn, ...health.conditions, well("Thermal")] },
  };
  const vms = names.flatMap(([tenant, all]) => all.map((name) => ({ tenant, name })));
  for (const [index, { tenant, name }] of vms.entries()) {
    const vcpus = [2, 4, 8][index % 3] ?? 2;
    const state =
      name === "lab-1" ? ("stopped" as const) : name === "mail-2" ? ("paused" as const) : undefined;
    stage.table.put(
      vmOf(index, {
        name,
        tenant,
        vcpus,
        memoryBytes: vcpus * 2 * GIB,
        cells: state === "stopped" ? [] : [index % 2],
        createdAtMs: Date.now() - (3 + index * 7) * 3_600_000,
        ...(state === undefined ? {} : { state }),
      }),
    );
  }
  const stopping = vms.findIndex(({ name }) => name === "shop-2");
  stage.operations = [
    {
      id: "0f0e8a52-6a3c-4b52-9d0e-2f4b7c1de901",
      requestId: "4d9c1f0a",
      kind: "STOP_VM",
      vmId: vmOf(stopping).id,
      caller: "scheduler",
      state: "running",
      steps: [{ name: "wait for the guest", startedAtMs: Date.now() - 4000 }],
      progress: 0.4,
      createdAtMs: Date.now() - 6000,
      result: {},
      intent: {},
    },
  ];
  stage.usage = {
    readAtMs: Date.now(),
    cpuBusyRatio: 0.31,
    memoryTotalBytes: 512 * GIB,
    memoryAvailableBytes: 371 * GIB,
    cells: [],
  };
  const change = (vmName: string, vmState: string, reason: string, minutesAgo: number): void =>
    stage.publish({ kind: "vm_state_changed", vmName, vmState, reason }, minutesAgo * MINUTE_MS);
  change("web-3", "running", "BOOTED", 41);
  stage.publish({ kind: "operation_ended", vmName: "web-3", reason: "START_VM" }, 40 * MINUTE_MS);
  stage.publish({ kind: "vm_rebooted", vmName: "db-1" }, 22 * MINUTE_MS);
  change("mail-2", "paused", "USER", 9);
  change("lab-1", "stopped", "SHUTDOWN", 2);
}

/** Sampling rounds until now, ten seconds apart. Each reading is a random walk with a fixed seed. */
async function sample(stage: PageStage, rounds: number): Promise<void> {
  let seed = 17;
  const random = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
  const walks = new Map<string, number>();
  const wander = (key: string, step: number): number => {
    const value = walks.get(key) ?? random();
    const next = Math.min(
      1,
      Math.max(0, value + (random() - 0.5) * step + (random() < 0.04 ? random() - 0.4 : 0)),
    );
    walks.set(key, next);
    return next;
  };
  for (let round = rounds - 1; round >= 0; round -= 1) {
    const atMs = Date.now() - round * 10_000;
    for (const [index, vm] of stage.table.all().entries()) {
      if (vm.state !== "running") continue;
      const [disk, nic] = [vm.stats?.disks[0], vm.stats?.nics[0]];
      stage.table.putStats(vm.id, {
        ...stats(index),
        sampledAtMs: atMs,
        sampledAtMonotonicMs: atMs,
        cpuSeconds: (vm.stats?.cpuSeconds ?? 0) + wander(`${vm.id} cpu`, 0.3) ** 2 * vm.vcpus * 10,
        rssBytes: vm.memoryBytes * (0.4 + 0.5 * wander(`${vm.id} memory`, 0.04)),
        disks: [
          {
            device: "vda",
            readBytes: (disk?.readBytes ?? 0) + wander(`${vm.id} read`, 0.5) ** 4 * 2e8,
            writeBytes: (disk?.writeBytes ?? 0) + wander(`${vm.id} write`, 0.3) * 2e7,
          },
        ],
        nics: [
          {
            device: "vnet0",
            receiveBytes: (nic?.receiveBytes ?? 0) + wander(`${vm.id} receive`, 0.3) ** 2 * 1e8,
            transmitBytes: (nic?.transmitBytes ?? 0) + wander(`${vm.id} send`, 0.3) * 3e7,
          },
        ],
      });
    }
    stage.table.completed(atMs);
    stage.table.sampled({ atMs, atMonotonicMs: performance.now(), durationMs: 20, ok: true });
    // The page takes each round before the next.
    await new Promise((resolve) => setImmediate(resolve));
  }
}
