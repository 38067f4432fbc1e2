import type { NumaCell } from "../host.ts";

/** Which CPUs VMs share and which are given to one VM each, by NUMA cell. */
export class CpuPools {
  /** All CPUs of the host. */
  readonly count: number;
  readonly #cellOf = new Map<number, number>();
  readonly #dedicated: ReadonlySet<number>;
  readonly #configured: ReadonlySet<number>;
  readonly #cells: readonly NumaCell[];

  /** What of `dedicated` the host does not have is left out. */
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

  /** Ascending. Without an id, of all cells. */
  dedicated(cell?: number): number[] {
    return this.#of(cell).filter((cpu) => this.#dedicated.has(cpu));
  }

  shared(cell?: number): number[] {
    return this.#of(cell).filter((cpu) => !this.#dedicated.has(cpu));
  }

  /** How many of the CPUs that are offline would be shared, and how many dedicated. */
  offline(cell: number): { readonly shared: number; readonly dedicated: number } {
    const offline = this.#cells.find(({ id }) => id === cell)?.offlineCpus ?? [];
    const dedicated = offline.filter((cpu) => this.#configured.has(cpu)).length;
    return { shared: offline.length - dedicated, dedicated };
  }

  cellOf(cpu: number): number | undefined {
    return this.#cellOf.get(cpu);
  }

  /** The cells that any of the CPUs is of, ascending. */
  cellsOf(cpus: readonly number[]): number[] {
    const cells = new Set(cpus.flatMap((cpu) => this.#cellOf.get(cpu) ?? []));
    return [...cells].sort((a, b) => a - b);
  }

  /** The cores of a cell that have dedicated CPUs; all of a core's CPUs, the shared ones too, are its. */
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

/** A core: its CPUs, and the dedicated ones of them that nobody has. */
export interface Core {
  readonly cpus: readonly number[];
  readonly free: readonly number[];
}

/**
 * So many free CPUs, hardware threads of a core side by side: whole cores first, so that nobody else runs on a core of
 * theirs, and the rest from a core that is broken already where there is one. Undefined when there are not so many.
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
