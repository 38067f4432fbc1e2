import {
  createCipheriv,
  createDecipheriv,
  createHash,
  pbkdf2,
  randomBytes,
  randomUUID,
  timingSafeEqual,
} from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import { promisify } from "node:util";

// LUKS version 1 with AES-256 in XTS mode, as QEMU and cryptsetup write it: a header, and the master key encrypted under a
// passphrase in the first of its eight key slots.

export const SECTOR_BYTES = 512;
const MAGIC = Buffer.from("LUKS\xba\xbe", "latin1");
const VERSION = 1;
const [CIPHER, MODE, HASH] = ["aes", "xts-plain64", "sha256"] as const;
/** Two keys of 256 bits each. */
const KEY_BYTES = 64;
const DIGEST_BYTES = 20;
const SALT_BYTES = 32;
const [ACTIVE, UNUSED] = [0x00ac71f3, 0x0000dead] as const;
const SLOTS = 8;
const SLOT_BYTES = 48;
const STRIPES = 4000;
/** Positions in the header. */
const at = {
  ...{ version: 6, cipher: 8, mode: 40, hash: 72, payload: 104, keyBytes: 108 },
  ...{ digest: 112, digestSalt: 132, digestIterations: 164, uuid: 168, slots: 208 },
} as const;
/** The key material of slots begins at multiples of 4 KiB. */
const SLOT_SECTORS = 8 * Math.ceil((KEY_BYTES * STRIPES) / 4096);
const FIRST_SLOT_SECTOR = 8;
const PAYLOAD_SECTOR = FIRST_SLOT_SECTOR + SLOTS * SLOT_SECTORS;
/** Of PBKDF2 with SHA-256. */
export const iterations = {
  /** OWASP's number, against guesses of a passphrase. */
  chosenByPeople: 600_000,
  /** LUKS' least: 32 random bytes cannot be guessed, and a guest stands still while its QEMU derives the key. */
  random: 1000,
} as const;
/** A changed header must not occupy a thread for hours. */
const MOST_ITERATIONS = 20_000_000;
/** Of whole sectors. */
const STRIPES_IN_A_TURN = 48;

/** The header with all key slots: what is encrypted is behind it. */
export const LUKS_BYTES = PAYLOAD_SECTOR * SECTOR_BYTES;

/** Encrypts and decrypts whole sectors, each by its number. */
export class SectorCipher {
  readonly #key: Buffer;

  constructor(key: Buffer) {
    this.#key = key;
  }

  encrypt(bytes: Buffer, firstSector: number): Buffer {
    return this.#each(createCipheriv, bytes, firstSector);
  }

  decrypt(bytes: Buffer, firstSector: number): Buffer {
    return this.#each(createDecipheriv, bytes, firstSector);
  }

  #each(
    create: (algorithm: string, key: Buffer, iv: Buffer) => { update(part: Buffer): Buffer },
    bytes: Buffer,
    firstSector: number,
  ): Buffer {
    const result = Buffer.allocUnsafe(bytes.length);
    const iv = Buffer.alloc(16);
    for (let from = 0; from < bytes.length; from += SECTOR_BYTES) {
      iv.writeBigUInt64LE(BigInt(firstSector + from / SECTOR_BYTES), 0);
      const part = bytes.subarray(from, from + SECTOR_BYTES);
      create("aes-256-xts", this.#key, iv).update(part).copy(result, from);
    }
    return result;
  }
}

export interface Luks {
  /** LUKS_BYTES. */
  readonly header: Buffer;
  readonly cipher: SectorCipher;
}

/** A new master key under this passphrase, which is text in UTF-8 without NUL: QEMU takes no other. */
export async function makeLuks(passphrase: Buffer, strength: keyof typeof iterations): Promise<Luks> {
  const key = randomBytes(KEY_BYTES);
  const header = Buffer.alloc(LUKS_BYTES);
  MAGIC.copy(header);
  header.writeUInt16BE(VERSION, at.version);
  header.write(CIPHER, at.cipher, "latin1");
  header.write(MODE, at.mode, "latin1");
  header.write(HASH, at.hash, "latin1");
  header.writeUInt32BE(PAYLOAD_SECTOR, at.payload);
  header.writeUInt32BE(KEY_BYTES, at.keyBytes);
  const digestSalt = randomBytes(SALT_BYTES);
  (await derive(key, digestSalt, iterations.random, DIGEST_BYTES)).copy(header, at.digest);
  digestSalt.copy(header, at.digestSalt);
  header.writeUInt32BE(iterations.random, at.digestIterations);
  header.write(randomUUID(), at.uuid, "latin1");
  for (let slot = 0; slot < SLOTS; slot += 1) {
    const from = at.slots + slot * SLOT_BYTES;
    header.writeUInt32BE(slot === 0 ? ACTIVE : UNUSED, from);
    header.writeUInt32BE(FIRST_SLOT_SECTOR + slot * SLOT_SECTORS, from + 40);
    header.writeUInt32BE(STRIPES, from + 44);
  }
  const salt = randomBytes(SALT_BYTES);
  header.writeUInt32BE(iterations[strength], at.slots + 4);
  salt.copy(header, at.slots + 8);
  const slotCipher = new SectorCipher(await derive(passphrase, salt, iterations[strength], KEY_BYTES));
  const material = await split(key);
  await inTurns(material.length, (from, to) => {
    const part = slotCipher.encrypt(material.subarray(from, to), from / SECTOR_BYTES);
    part.copy(header, FIRST_SLOT_SECTOR * SECTOR_BYTES + from);
  });
  return { header, cipher: new SectorCipher(key) };
}

/** Whether the bytes are a header of `makeLuks`: none of another program is read. */
export function isOwnLuks(header: Buffer): boolean {
  const counts = [header.readUInt32BE(at.slots + 4), header.readUInt32BE(at.digestIterations)];
  return (
    header.subarray(0, MAGIC.length).equals(MAGIC) &&
    header.readUInt16BE(at.version) === VERSION &&
    textAt(header, at.cipher) === CIPHER &&
    textAt(header, at.mode) === MODE &&
    textAt(header, at.hash) === HASH &&
    header.readUInt32BE(at.payload) === PAYLOAD_SECTOR &&
    header.readUInt32BE(at.keyBytes) === KEY_BYTES &&
    header.readUInt32BE(at.slots) === ACTIVE &&
    header.readUInt32BE(at.slots + 40) === FIRST_SLOT_SECTOR &&
    header.readUInt32BE(at.slots + 44) === STRIPES &&
    counts.every((each) => each > 0 && each <= MOST_ITERATIONS)
  );
}

const textAt = (header: Buffer, from: number): string =>
  header.toString("latin1", from, from + 32).replace(/\0+$/, "");

/** The cipher of a header that `isOwnLuks`. Undefined: the passphrase is another one. */
export async function openLuks(header: Buffer, passphrase: Buffer): Promise<SectorCipher | undefined> {
  const salt = header.subarray(at.slots + 8, at.slots + 8 + SALT_BYTES);
  const count = header.readUInt32BE(at.slots + 4);
  const slotCipher = new SectorCipher(await derive(passphrase, salt, count, KEY_BYTES));
  const from = FIRST_SLOT_SECTOR * SECTOR_BYTES;
  const material = Buffer.alloc(KEY_BYTES * STRIPES);
  await inTurns(material.length, (start, end) => {
    const part = header.subarray(from + start, from + end);
    slotCipher.decrypt(part, start / SECTOR_BYTES).copy(material, start);
  });
  const key = await merge(material);
  const digestSalt = header.subarray(at.digestSalt, at.digestSalt + SALT_BYTES);
  const digest = await derive(key, digestSalt, header.readUInt32BE(at.digestIterations), DIGEST_BYTES);
  const known = header.subarray(at.digest, at.digest + DIGEST_BYTES);
  return timingSafeEqual(digest, known) ? new SectorCipher(key) : undefined;
}

const derive = (secret: Buffer, salt: Buffer, count: number, bytes: number): Promise<Buffer> =>
  promisify(pbkdf2)(secret, salt, count, bytes, HASH);

// LUKS spreads a key over many stripes, all of which are needed: a part of them that stays on a disk tells nothing.

async function split(key: Buffer): Promise<Buffer> {
  const material = randomBytes(KEY_BYTES * STRIPES);
  xor(key, await mixed(material)).copy(material, material.length - KEY_BYTES);
  return material;
}

const merge = async (material: Buffer): Promise<Buffer> =>
  xor(await mixed(material), material.subarray(-KEY_BYTES));

/** Of all stripes but the last. */
async function mixed(material: Buffer): Promise<Buffer> {
  let block: Buffer = Buffer.alloc(KEY_BYTES);
  await inTurns(material.length - KEY_BYTES, (from, to) => {
    for (let stripe = from; stripe < to; stripe += KEY_BYTES)
      block = diffuse(xor(block, material.subarray(stripe, stripe + KEY_BYTES)));
  });
  return block;
}

function diffuse(block: Buffer): Buffer {
  const half = KEY_BYTES / 2;
  const parts = [0, 1].map((index) =>
    createHash(HASH)
      .update(Buffer.from([0, 0, 0, index]))
      .update(block.subarray(index * half, (index + 1) * half))
      .digest(),
  );
  return Buffer.concat(parts);
}

const xor = (a: Buffer, b: Buffer): Buffer => Buffer.from(a.map((byte, index) => byte ^ (b[index] ?? 0)));

/** Other work gets its turns between the parts. */
async function inTurns(bytes: number, work: (from: number, to: number) => void): Promise<void> {
  const part = STRIPES_IN_A_TURN * KEY_BYTES;
  for (let from = 0; from < bytes; from += part) {
    work(from, Math.min(from + part, bytes));
    await nextTurn();
  }
}
