import { damaged, type ByteSource } from "./byte-source.ts";
import {
  CLUSTER_BYTES,
  ClusterMap,
  TABLE_CLUSTERS,
  TABLE_COVERS_BYTES,
  type ClusterState,
} from "../../kernel/qcow2/cluster-map.ts";
import { CRYPT_LUKS, CRYPTO_HEADER, CRYPTO_HEADER_BYTES } from "../../kernel/qcow2/encrypted-image.ts";
import { isOwnLuks, LUKS_BYTES, openLuks, SECTOR_BYTES, type SectorCipher } from "../../kernel/qcow2/luks.ts";
import { BACKING_FORMAT, HEADER_BYTES, MAGIC, ZERO_FLAG } from "../../kernel/qcow2/qcow2-image.ts";
import { passphraseMissing, passphraseWrong } from "./passphrase.ts";

/** Bits 9 to 55 of an entry. */
const OFFSET = 0x00ff_ffff_ffff_fe00n;
const COMPRESSED = 2n ** 62n;

/** A qcow2 image as `qcow2Image` makes it: others are refused, since a backup has no others. */
export class Qcow2File {
  readonly capacityBytes: number;
  /** The backing file's name in the header. */
  readonly backing: string | undefined;
  /** Its clusters with data are encrypted. */
  readonly isEncrypted: boolean;
  readonly #source: ByteSource;
  readonly #l1: Buffer;
  readonly #passphrase: Buffer | undefined;
  #cipher: SectorCipher | undefined;
  #table: { readonly number: number; readonly entries: Buffer | undefined } | undefined;

  private constructor(source: ByteSource, header: Buffer, l1: Buffer, passphrase: Buffer | undefined) {
    this.#source = source;
    this.#l1 = l1;
    this.capacityBytes = Number(header.readBigUInt64BE(24));
    this.isEncrypted = header.readUInt32BE(32) === CRYPT_LUKS;
    this.backing = backingOf(
      header,
      HEADER_BYTES + (this.isEncrypted ? CRYPTO_HEADER_BYTES : 0),
      source.name,
    );
    this.#passphrase = passphrase;
  }

  /** The passphrase is needed for the bytes of clusters alone. Throws `invalid` BACKUP_DAMAGED. */
  static async open(source: ByteSource, passphrase?: Buffer): Promise<Qcow2File> {
    if (source.sizeBytes < CLUSTER_BYTES) throw damaged(source.name, "it has no whole header");
    const header = await source.read(0, CLUSTER_BYTES);
    if (header.readUInt32BE(0) !== MAGIC || header.readUInt32BE(4) !== 3)
      throw damaged(source.name, "it is no qcow2 image of version 3");
    const capacityBytes = Number(header.readBigUInt64BE(24));
    const isAsMade =
      header.readUInt32BE(20) === Math.log2(CLUSTER_BYTES) &&
      (header.readUInt32BE(32) === 0 || isOwnEncryption(header)) &&
      header.readUInt32BE(60) === 0 &&
      header.readBigUInt64BE(72) === 0n &&
      Number.isSafeInteger(capacityBytes);
    if (!isAsMade)
      throw damaged(source.name, "it is no image of a backup, as one that another program changed");
    const tables = header.readUInt32BE(36);
    const at = Number(header.readBigUInt64BE(40));
    if (tables !== Math.ceil(capacityBytes / TABLE_COVERS_BYTES) || at + tables * 8 > source.sizeBytes)
      throw damaged(source.name, "its first table does not fit its disk");
    return new Qcow2File(source, header, await source.read(at, tables * 8), passphrase);
  }

  get tables(): number {
    return this.#l1.length / 8;
  }

  hasTable(number: number): boolean {
    return number < this.tables && (this.#l1.readBigUInt64BE(number * 8) & OFFSET) !== 0n;
  }

  /** The entries of a table; undefined if it has none. The last one is kept, since they are read in order. */
  async entries(number: number): Promise<Buffer | undefined> {
    if (this.#table?.number !== number) {
      const at = this.hasTable(number) ? this.#l1.readBigUInt64BE(number * 8) & OFFSET : 0n;
      const entries = at === 0n ? undefined : await this.#source.read(this.#place(at), CLUSTER_BYTES);
      this.#table = { number, entries };
    }
    return this.#table.entries;
  }

  /** What an entry says about its cluster. Throws `invalid` BACKUP_DAMAGED. */
  stateOf(entry: bigint): ClusterState {
    if ((entry & COMPRESSED) !== 0n) throw damaged(this.#source.name, "it has compressed clusters");
    if ((entry & ZERO_FLAG) !== 0n) return "zero";
    return (entry & OFFSET) === 0n ? "absent" : "data";
  }

  /** The cluster that an entry with data refers to. Throws as `unlock`. */
  async clusterOf(entry: bigint): Promise<Buffer> {
    const place = this.#place(entry & OFFSET);
    const bytes = await this.#source.read(place, CLUSTER_BYTES);
    await this.unlock();
    return this.#cipher?.decrypt(bytes, place / SECTOR_BYTES) ?? bytes;
  }

  /** Throws `invalid` PASSPHRASE_MISSING, PASSPHRASE_WRONG and BACKUP_DAMAGED. */
  async unlock(): Promise<void> {
    if (!this.isEncrypted || this.#cipher !== undefined) return;
    const { name } = this.#source;
    if (this.#passphrase === undefined) throw passphraseMissing(name);
    const luks = await this.#source.read(CLUSTER_BYTES, LUKS_BYTES);
    if (!isOwnLuks(luks)) throw damaged(name, "the header of its encryption is no backup's");
    this.#cipher = await openLuks(luks, this.#passphrase);
    if (this.#cipher === undefined) throw passphraseWrong(name);
  }

  async close(): Promise<void> {
    await this.#source.close();
  }

  #place(offset: bigint): number {
    const at = Number(offset);
    if (at % CLUSTER_BYTES === 0 && at + CLUSTER_BYTES <= this.#source.sizeBytes) return at;
    throw damaged(this.#source.name, "it refers to bytes that it has not");
  }
}

/** As `encryptedImage` writes it. */
const isOwnEncryption = (header: Buffer): boolean =>
  header.readUInt32BE(32) === CRYPT_LUKS &&
  header.readUInt32BE(HEADER_BYTES) === CRYPTO_HEADER &&
  header.readBigUInt64BE(HEADER_BYTES + 8) === BigInt(CLUSTER_BYTES) &&
  header.readBigUInt64BE(HEADER_BYTES + 16) === BigInt(LUKS_BYTES);

function backingOf(header: Buffer, extensionsAt: number, name: string): string | undefined {
  const at = Number(header.readBigUInt64BE(8));
  if (at === 0) return undefined;
  const length = header.readUInt32BE(16);
  if (
    at < extensionsAt ||
    at + length > header.length ||
    header.readUInt32BE(extensionsAt) !== BACKING_FORMAT
  )
    throw damaged(name, "the name of its backing file is not in its header");
  return header.toString("utf8", at, at + length);
}

/** A disk as a chain of images has it, the newest first. */
export class Qcow2Chain {
  readonly #files: readonly Qcow2File[];

  constructor(files: readonly Qcow2File[]) {
    this.#files = files;
  }

  get capacityBytes(): number {
    return this.#files[0]?.capacityBytes ?? 0;
  }

  /** Without an image below: a cluster that is zero is absent. */
  async map(): Promise<ClusterMap> {
    const map = new ClusterMap(this.capacityBytes, false);
    for (let table = 0; table < map.tables; table += 1) {
      const tables = await this.#tables(table);
      if (tables.length === 0) continue;
      for (let entry = 0; entry < TABLE_CLUSTERS; entry += 1) {
        const offset = (table * TABLE_CLUSTERS + entry) * CLUSTER_BYTES;
        if (offset < this.capacityBytes && dataAt(tables, entry) !== undefined)
          map.mark(offset, Math.min(CLUSTER_BYTES, this.capacityBytes - offset), "data");
      }
    }
    return map;
  }

  async cluster(index: number): Promise<Buffer> {
    const found = dataAt(await this.#tables(Math.floor(index / TABLE_CLUSTERS)), index % TABLE_CLUSTERS);
    return (await found?.file.clusterOf(found.entry)) ?? Buffer.alloc(CLUSTER_BYTES);
  }

  async read(offsetBytes: number, lengthBytes: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    const end = offsetBytes + lengthBytes;
    for (let at = offsetBytes; at < end;) {
      const index = Math.floor(at / CLUSTER_BYTES);
      const from = index * CLUSTER_BYTES;
      const to = Math.min(end, from + CLUSTER_BYTES);
      parts.push((await this.cluster(index)).subarray(at - from, to - from));
      at = to;
    }
    return Buffer.concat(parts);
  }

  /** Throws as `Qcow2File.unlock`, before the first cluster is read. */
  async unlock(): Promise<void> {
    for (const file of this.#files) await file.unlock();
  }

  async close(): Promise<void> {
    for (const file of this.#files) await file.close();
  }

  async #tables(number: number): Promise<Table[]> {
    const tables: Table[] = [];
    for (const file of this.#files) {
      const entries = await file.entries(number);
      if (entries !== undefined) tables.push({ file, entries });
    }
    return tables;
  }
}

interface Table {
  readonly file: Qcow2File;
  readonly entries: Buffer;
}

/** The newest image with a say about the cluster, if that is data. */
function dataAt(tables: readonly Table[], at: number): { file: Qcow2File; entry: bigint } | undefined {
  for (const { file, entries } of tables) {
    const entry = entries.readBigUInt64BE(at * 8);
    const state = file.stateOf(entry);
    if (state !== "absent") return state === "data" ? { file, entry } : undefined;
  }
  return undefined;
}
