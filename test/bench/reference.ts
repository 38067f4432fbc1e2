import { createHash } from "node:crypto";
import { median } from "./statistics.ts";

const OBJECTS = 4000;
const PASSES = 3;

/**
 * Work of a fixed size in the bench's own process, timed between its rounds. Machines differ by a factor of two in speed and
 * are shared: a time bound is a multiple of this work's time in the same run.
 */
export class Reference {
  readonly #wallMs: number[] = [];
  readonly #cpuMs: number[] = [];

  constructor() {
    // Warm-up until V8 has compiled it.
    for (let pass = 0; pass < 20; pass += 1) work();
  }

  /** Measures the work again; called once per round, so that it has the same load. */
  measure(): void {
    for (let pass = 0; pass < PASSES; pass += 1) {
      const startMs = performance.now();
      const before = process.cpuUsage();
      work();
      const { user, system } = process.cpuUsage(before);
      this.#wallMs.push(performance.now() - startMs);
      this.#cpuMs.push((user + system) / 1000);
    }
  }

  /** The median wall time, for figures that other load stretches too. */
  get wallMs(): number {
    return median(this.#wallMs);
  }

  /** The median of CPU time. */
  get cpuMs(): number {
    return median(this.#cpuMs);
  }
}

/** A sample of the agent's usual work: serialization, maps, sorting, digests. */
function work(): string {
  const objects = Array.from({ length: OBJECTS }, (_, index) => ({
    name: `vm-${(index * 7919) % OBJECTS}`,
    state: "running",
    cpuSeconds: index / 3,
    disks: [{ path: `/images/${index}`, bytes: index * 512 }],
  }));
  const text = JSON.stringify(objects);
  const byName = new Map((JSON.parse(text) as typeof objects).map((each) => [each.name, each.cpuSeconds]));
  const lines = [...byName].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, value]) => `${name} ${value}`);
  return createHash("sha256").update(lines.join("\n")).digest("hex");
}
