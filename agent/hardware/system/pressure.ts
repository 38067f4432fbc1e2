import { join } from "node:path";
import { readText, reading, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";
import { defined } from "../../kernel/defined.ts";

type PressureResource = "cpu" | "memory" | "io";

/** Pressure stall information (Documentation/accounting/psi.rst): the share of time that tasks waited. */
export interface Pressure {
  /** At least one task waited. */
  readonly waiting: PressureStall;
  /** All tasks waited at once. Absent for cpu before kernel 5.13. */
  readonly stalled?: PressureStall;
}

interface PressureStall {
  readonly avg60Ratio: number;
  readonly totalSeconds: number;
}

/** Unsupported on a kernel without PSI, or booted with psi=0. */
export function readPressure(roots: Roots, resource: PressureResource): Promise<Reading<Pressure>> {
  const path = join(roots.procRoot, "pressure", resource);
  return reading(path, async () => {
    const text = await readText(path);
    const waiting = parseStall(text, "some");
    if (waiting === undefined) throw new Error(`${path} has no line "some"`);
    const stalled = parseStall(text, "full");
    return defined({ waiting, stalled });
  });
}

/** For each resource that this kernel reports. */
export async function readPressures(roots: Roots): Promise<Reading<ReadonlyMap<PressureResource, Pressure>>> {
  const value = new Map<PressureResource, Pressure>();
  for (const resource of ["cpu", "memory", "io"] as const) {
    const pressure = await readPressure(roots, resource);
    if (pressure.kind !== "read") return pressure;
    value.set(resource, pressure.value);
  }
  return { kind: "read", value };
}

function parseStall(text: string, kind: "some" | "full"): PressureStall | undefined {
  const match = new RegExp(`^${kind} .*\\bavg60=([\\d.]+) .*\\btotal=(\\d+)`, "m").exec(text);
  if (match === null) return undefined;
  const [, avg60, totalMicroseconds] = match.map(Number) as [number, number, number];
  return { avg60Ratio: avg60 / 100, totalSeconds: totalMicroseconds / 1e6 };
}
