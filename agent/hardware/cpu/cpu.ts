import { machine } from "node:os";
import { join } from "node:path";
import { parseWhole, readText, readTextIfThere, reading, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";
import { numberOf, MonotonicCounters } from "../walk.ts";
import { defined } from "../../kernel/defined.ts";

/** Columns of a cpu line of /proc/stat (proc_stat(5)). `guest` is in `user` too, `guest_nice` in `nice`. */
const cpuModes = [
  "user",
  "nice",
  "system",
  "idle",
  "iowait",
  "irq",
  "softirq",
  "steal",
  "guest",
  "guest_nice",
] as const;
type CpuMode = (typeof cpuModes)[number];

/** USER_HZ: 100 on every architecture that libvirt runs QEMU on. */
const TICKS_PER_SECOND = 100;

/** Activity of all CPUs since boot. Values that this kernel does not report are absent. */
export interface CpuActivity {
  /** Monotonic. */
  readonly secondsByMode: Readonly<Partial<Record<CpuMode, number>>>;
  readonly contextSwitches?: number;
  readonly interrupts?: number;
  readonly forks?: number;
  /** Runnable tasks now. */
  readonly running?: number;
  /** Tasks in uninterruptible disk wait now. */
  readonly blocked?: number;
}

/** Keeps counters monotonic: iowait, and counters of CPUs going offline, may drop (proc_stat(5)). */
export function cpuActivityReader(roots: Roots): () => Promise<Reading<CpuActivity>> {
  const path = join(roots.procRoot, "stat");
  const counts = new MonotonicCounters();
  const read = async (): Promise<CpuActivity> => {
    const stat = await readText(path);
    const columns = /^cpu\s+(.*)$/m.exec(stat)?.[1]?.split(/\s+/);
    if (columns === undefined) throw new Error(`${path} has no cpu line`);
    const secondsByMode: Partial<Record<CpuMode, number>> = {};
    cpuModes.forEach((mode, column) => {
      const value = Number(columns[column]);
      // A negative difference shows as nearly 2^64.
      const ticks = counts.of(mode, Number.isSafeInteger(value) ? value : undefined);
      if (ticks !== undefined) secondsByMode[mode] = ticks / TICKS_PER_SECOND;
    });
    // The interrupt line has the sum first, then one count per source.
    const first = (name: string): number | undefined =>
      numberOf(new RegExp(`^${name} (\\d+)`, "m").exec(stat)?.[1]);
    return defined({
      secondsByMode,
      contextSwitches: first("ctxt"),
      interrupts: first("intr"),
      forks: first("processes"),
      running: first("procs_running"),
      blocked: first("procs_blocked"),
    });
  };
  return () => reading(path, read);
}

export interface CpuModel {
  /** As from uname -m. */
  readonly architecture: string;
  readonly vendor: string;
  readonly model: string;
  readonly sockets: number;
  readonly cores: number;
  readonly threads: number;
  readonly maxFrequencyHertz?: number;
}

/** From /proc/cpuinfo, for online CPUs. On architectures without ids, each CPU counts as a core of socket 0. */
export function readCpuModel(roots: Roots): Promise<Reading<CpuModel>> {
  const path = join(roots.procRoot, "cpuinfo");
  return reading(path, async () => {
    const cpus = (await readText(path))
      .split(/\n\s*\n/)
      .map(fieldsOf)
      .filter((fields) => fields.has("processor"));
    if (cpus.length === 0) throw new Error(`${path} names no processor`);
    const socketOf = (cpu: Map<string, string>): string => cpu.get("physical id") ?? "0";
    const cores = cpus.map((cpu) => `${socketOf(cpu)}/${cpu.get("core id") ?? cpu.get("processor") ?? ""}`);
    const maxKiloHertz = await readTextIfThere(
      join(roots.sysRoot, "devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq"),
    );
    return defined({
      architecture: machine(),
      vendor: cpus[0]?.get("vendor_id") ?? cpus[0]?.get("CPU implementer") ?? "",
      model: cpus[0]?.get("model name") ?? "",
      sockets: new Set(cpus.map(socketOf)).size,
      cores: new Set(cores).size,
      threads: cpus.length,
      maxFrequencyHertz:
        maxKiloHertz === undefined ? undefined : parseWhole(maxKiloHertz, "cpuinfo_max_freq") * 1000,
    });
  });
}

function fieldsOf(block: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) fields.set(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
  }
  return fields;
}
