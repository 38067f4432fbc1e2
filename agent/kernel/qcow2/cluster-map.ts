/** What an image has for each cluster of its disk. */
export type ClusterState = "absent" | "zero" | "data";

export const CLUSTER_BYTES = 64 * 1024;
/** The clusters of one second-level table. */
export const TABLE_CLUSTERS = CLUSTER_BYTES / 8;
export const TABLE_COVERS_BYTES = TABLE_CLUSTERS * CLUSTER_BYTES;

const STATES = ["absent", "zero", "data"] as const;
const [ABSENT, ZERO, DATA] = [0, 1, 2] as const;

/** The states of a disk's clusters, in two bits each: 4 MiB for a disk of 1 TiB. */
export class ClusterMap {
  readonly capacityBytes: number;
  /** A cluster that is absent has the bytes of another image below. */
  readonly isOverlay: boolean;
  readonly #tables = new Map<number, Uint8Array>();
  /** By table. */
  readonly #dataIn = new Map<number, number>();
  #dataClusters = 0;
  #usedTables: readonly number[] | undefined;

  constructor(capacityBytes: number, isOverlay: boolean) {
    this.capacityBytes = capacityBytes;
    this.isOverlay = isOverlay;
  }

  /** The second-level tables that the disk needs at most. */
  get tables(): number {
    return Math.ceil(this.capacityBytes / TABLE_COVERS_BYTES);
  }

  /** The numbers of the tables with a cluster that is not absent, ascending. */
  get usedTables(): readonly number[] {
    return (this.#usedTables ??= [...this.#tables.keys()].sort((a, b) => a - b));
  }

  get dataClusters(): number {
    return this.#dataClusters;
  }

  /** The clusters of a table that are data. */
  dataIn(table: number): number {
    return this.#dataIn.get(table) ?? 0;
  }

  /** Marks a part of the disk. A cluster with any data is data; so is one of an overlay that is zero in part. */
  mark(offsetBytes: number, lengthBytes: number, state: "zero" | "data"): void {
    const end = offsetBytes + lengthBytes;
    if (offsetBytes < 0 || lengthBytes < 0 || end > this.capacityBytes)
      throw new RangeError(
        `an extent from ${offsetBytes} to ${end} of a disk of ${this.capacityBytes} bytes`,
      );
    if (lengthBytes === 0 || (state === "zero" && !this.isOverlay)) return;
    const last = Math.floor((end - 1) / CLUSTER_BYTES);
    for (let index = Math.floor(offsetBytes / CLUSTER_BYTES); index <= last; index += 1) {
      const [from, to] = this.#bounds(index);
      const isWhole = offsetBytes <= from && end >= to;
      this.#set(index, state === "zero" && isWhole ? ZERO : DATA);
    }
  }

  state(index: number): ClusterState {
    const table = this.#tables.get(Math.floor(index / TABLE_CLUSTERS));
    return STATES[table === undefined ? ABSENT : bitsOf(table, index % TABLE_CLUSTERS)] ?? "absent";
  }

  /** The disk's end may be within its last cluster. */
  #bounds(index: number): [from: number, to: number] {
    return [index * CLUSTER_BYTES, Math.min((index + 1) * CLUSTER_BYTES, this.capacityBytes)];
  }

  #set(index: number, code: 1 | 2): void {
    const number = Math.floor(index / TABLE_CLUSTERS);
    let table = this.#tables.get(number);
    if (table === undefined) {
      this.#tables.set(number, (table = new Uint8Array(TABLE_CLUSTERS / 4)));
      this.#usedTables = undefined;
    }
    const at = index % TABLE_CLUSTERS;
    const before = bitsOf(table, at);
    if (before === code || before === DATA) return;
    if (code === DATA) {
      this.#dataClusters += 1;
      this.#dataIn.set(number, this.dataIn(number) + 1);
    }
    const shift = (at % 4) * 2;
    const byte = Math.floor(at / 4);
    table[byte] = ((table[byte] ?? 0) & ~(3 << shift)) | (code << shift);
  }
}

const bitsOf = (table: Uint8Array, at: number): number =>
  ((table[Math.floor(at / 4)] ?? 0) >> ((at % 4) * 2)) & 3;
