import type { NumaCell } from "../host.ts";

/** Shared and dedicated CPUs by NUMA cell. */
export class CpuPools {
  /** All CPUs of the host. */
  readonly count: number;
  readonly #cellOf = new Map<number, number>();
  readonly #dedicated: ReadonlySet<number>;
  readonly #configured: ReadonlySet<number>;
  readonly #cells: readonly NumaCell[];

  /** Ignores CPUs of `dedicated` that the host lacks. */
  constructor(cells: readonly NumaCell[], dedicated: readonly number[]) {
    for (const { id, cpus } of cells) for (const cpu of cpus) this.#cellOf.set(cpu, id);
    this.count = this.#cellOf.size;
    this.#dedicated = new Set(dedicated.filter((cpu) => this.#cellOf.has(cpu)));
    this.#configured = new Set(dedicated);
    this.#cells = cells;
  }

  get hasDedicated(): boolean {
    return this.#dedicated.size > 0;
  }

  isDedicated(cpu: number): boolean {
    return this.#dedicated.has(cpu);
  }

  /** Ascending. Without an id: of all cells. */
  dedicated(cell?: number): number[] {
    return this.#of(cell).filter((cpu) => this.#dedicated.has(cpu));
  }

  shared(cell?: number): number[] {
    return this.#of(cell).filter((cpu) => !this.#dedicated.has(cpu));
  }

  /** Offline CPUs, counted as shared and as dedicated. */
  offline(cell: number): { readonly shared: number; readonly dedicated: number } {
    const offline = this.#cells.find(({ id }) => id === cell)?.offlineCpus ?? [];
    const dedicated = offline.filter((cpu) => this.#configured.has(cpu)).length;
    return { shared: offline.length - dedicated, dedicated };
  }

  cellOf(cpu: number): number | undefined {
    return this.#cellOf.get(cpu);
  }

  /** The cells of these CPUs, ascending. */
  cellsOf(cpus: readonly number[]): number[] {
    const cells = new Set(cpus.flatMap((cpu) => this.#cellOf.get(cpu) ?? []));
    return [...cells].sort((a, b) => a - b);
  }

  /** The cores of a cell that have dedicated CPUs, each with all its CPUs, shared ones too. */
  dedicatedCores(cell: number, taken: ReadonlySet<number>): Core[] {
    const siblings = this.#cells.find(({ id }) => id === cell)?.siblings ?? [];
    const cores = new Map<number, Core & { free: number[] }>();
    for (const cpu of this.dedicated(cell)) {
      const cpus = siblings.find((group) => group.includes(cpu)) ?? [cpu];
      const core = cores.get(cpus[0] ?? cpu) ?? { cpus, free: [] };
      cores.set(cpus[0] ?? cpu, core);
      if (!taken.has(cpu)) core.free.push(cpu);
    }
    return [...cores.values()];
  }

  #of(cell: number | undefined): number[] {
    const cells = this.#cells.filter(({ id }) => cell === undefined || id === cell);
    return cells.flatMap(({ cpus }) => cpus).sort((a, b) => a - b);
  }
}

/** A core: its CPUs, and its free dedicated CPUs. */
export interface Core {
  readonly cpus: readonly number[];
  readonly free: readonly number[];
}

/**
 * Picks this many free CPUs, hardware threads of a core side by side. Whole cores come first, so that no other VM runs
 * on them; the rest comes from a partly used core, if any. Undefined if too few are free.
 */
export function pickCpus(cores: readonly Core[], count: number): number[] | undefined {
  const picked: number[] = [];
  const left = (): number => count - picked.length;
  const broken: Core[] = [];
  for (const core of cores) {
    const isWhole = core.free.length === core.cpus.length;
    if (isWhole && core.free.length <= left()) picked.push(...core.free);
    else if (core.free.length > 0) broken.push(core);
  }
  const fewestFirst = broken.sort((a, b) => a.free.length - b.free.length);
  const rest = fewestFirst.find(({ free }) => free.length >= left());
  for (const { free } of rest === undefined ? fewestFirst : [rest]) picked.push(...free.slice(0, left()));
  return left() === 0 ? picked : undefined;
}

/** The properties of cells that affect demands. */
export const cpusOf = (cells: readonly NumaCell[]): string =>
  JSON.stringify(cells.map(({ id, cpus }) => [id, cpus]));
