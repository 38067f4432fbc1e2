import type { ClusterMap } from "../../kernel/qcow2/cluster-map.ts";
import { unsafe } from "./header-check.ts";

/** A file that is read at any place. */
export interface StoredBytes {
  readonly sizeBytes: number;
  /** Within the file. */
  read(at: number, length: number): Promise<Buffer>;
}

/** The disk in a file of a format that no VM uses. No other file is ever opened for it. */
export interface ForeignDisk {
  /** The clusters with data in the file. */
  readonly map: ClusterMap;
  /** Of the map's clusters with data, ascending. Throws `denied` IMAGE_UNSAFE. */
  cluster(index: number): Promise<Buffer>;
}

/** Throws `denied` IMAGE_UNSAFE for a part that the file does not have. */
export async function readPart(
  bytes: StoredBytes,
  at: number,
  length: number,
  what: string,
): Promise<Buffer> {
  if (at + length > bytes.sizeBytes) throw beyond(what);
  return await bytes.read(at, length);
}

const beyond = (what: string): Error => unsafe(`${what} is beyond the end of the file`);

/** The units of a file that something refers to. Two references to one unit would make a small file a large disk. */
export class FileSpace {
  readonly #units: number;
  readonly #taken: Uint8Array;

  constructor(units: number) {
    this.#units = units;
    this.#taken = new Uint8Array(Math.ceil(units / 8));
  }

  /** Throws `denied` IMAGE_UNSAFE for units outside of the file, or that have been taken. */
  take(first: number, count: number, what: string): void {
    const end = first + count;
    if (end > this.#units) throw beyond(what);
    for (let at = first; at < end;) {
      const byte = Math.floor(at / 8);
      const isWhole = at % 8 === 0 && end - at >= 8;
      const bits = isWhole ? 0xff : 1 << (at % 8);
      if (((this.#taken[byte] ?? 0) & bits) !== 0) throw unsafe(`${what} overlaps another part of the file`);
      this.#taken[byte] = (this.#taken[byte] ?? 0) | bits;
      at += isWhole ? 8 : 1;
    }
  }
}
