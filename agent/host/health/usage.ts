import type { CpuActivity } from "../../hardware/cpu/cpu.ts";
import type { HostUsage } from "../host.ts";
import { isFresh, type Sampled } from "./readers/reader.ts";
import type { HostReadings, HostValue } from "./readers/table.ts";
import { defined } from "../../kernel/defined.ts";

/** Resource use of the machine: call `look` at each new CPU reading, `now` at any time. */
export class Usage {
  readonly #readings: HostReadings;
  #cpu: CpuActivity | undefined;
  #busyRatio: number | undefined;

  constructor(readings: HostReadings) {
    this.#readings = readings;
  }

  look(): void {
    const last = this.#readings.last("cpu");
    if (last.kind !== "read") return;
    this.#busyRatio = busyRatio(this.#cpu, last.value);
    this.#cpu = last.value;
  }

  now(): HostUsage {
    const [memory, cells, cpu] = [this.#newest("memory"), this.#newest("cells"), this.#newest("cpu")];
    return defined({
      readAtMs: Math.max(memory?.readAtMs ?? 0, cpu?.readAtMs ?? 0),
      cpuBusyRatio: cpu && this.#busyRatio,
      memoryTotalBytes: memory?.value.totalBytes,
      memoryAvailableBytes: memory?.value.availableBytes,
      cells: (cells?.value ?? []).flatMap(({ id, memory: of }) =>
        of.kind === "read" ? [{ id, memoryFreeBytes: of.value.freeBytes }] : [],
      ),
    });
  }

  #newest<N extends "memory" | "cells" | "cpu">(name: N): Sampled<HostValue<N>> | undefined {
    const sampled = this.#readings.newest(name);
    return sampled !== undefined && isFresh(sampled) ? sampled : undefined;
  }
}

/** 0 to 1: non-idle share of CPU time between two readings. Undefined if no time was counted. */
export function busyRatio(before: CpuActivity | undefined, after: CpuActivity): number | undefined {
  if (before === undefined) return undefined;
  let [whole, idle] = [0, 0];
  for (const [mode, seconds] of Object.entries(after.secondsByMode)) {
    // user and nice already include guest time.
    if (mode.startsWith("guest")) continue;
    const passed = seconds - (before.secondsByMode[mode as keyof CpuActivity["secondsByMode"]] ?? seconds);
    whole += passed;
    if (mode === "idle" || mode === "iowait") idle += passed;
  }
  return whole > 0 ? Math.min(1, Math.max(0, (whole - idle) / whole)) : undefined;
}
