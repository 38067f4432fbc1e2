import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
  verify,
  type KeyObject,
} from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import * as z from "../kernel/zod.ts";
import { cut } from "./entry.ts";
import { Marks, proofText, RandomMarks } from "./mark.ts";
import { keyDamaged, keyInvalid, keyReadByOthers, reading } from "./refusals.ts";
import { replaceFile } from "../state/journal/durable-file.ts";
import { parseJson } from "../kernel/text/json.ts";
import { ifExists } from "../kernel/thrown.ts";

const checkpointSchema = z.object({
  /** The entry that it covers, with all entries before it. */
  sequence: z.number().int().min(0),
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  time: z.string(),
  /** The fingerprint of the signing key. */
  key: z.string(),
  /** Ed25519, base64. */
  signature: z.string(),
});

/** A statement by this host, which others verify with its public audit key. */
export interface Attested {
  /** JSON, which begins with the kind of statement. */
  readonly text: string;
  /** Ed25519 over its bytes, base64. */
  readonly signature: string;
}

/** A signed statement of the log's state up to an entry. */
export type Checkpoint = Readonly<z.output<typeof checkpointSchema>>;

/** Undefined for an invalid checkpoint. `VerifyKey.vouches` verifies its signature. */
export const parseCheckpoint = (value: unknown): Checkpoint | undefined =>
  checkpointSchema.safeParse(value).data;

const textOf = ({ sequence, hash, time, key }: Omit<Checkpoint, "signature">): Buffer =>
  Buffer.from(`socle audit checkpoint 1\n${key}\n${sequence}\n${hash}\n${time}\n`);

/** The public key, which verifies a log. */
export class VerifyKey {
  readonly #key: KeyObject;
  /** SHA-256 of the key in DER, hexadecimal. */
  readonly fingerprint: string;

  constructor(key: KeyObject) {
    this.#key = key;
    this.fingerprint = createHash("sha256")
      .update(key.export({ type: "spki", format: "der" }))
      .digest("hex");
  }

  /** Throws `invalid` AUDIT_KEY_INVALID. */
  static fromPem(pem: string): VerifyKey {
    try {
      const key = createPublicKey(pem);
      if (key.asymmetricKeyType !== "ed25519") throw new Error(`it is ${key.asymmetricKeyType ?? "another"}`);
      return new VerifyKey(key);
    } catch (cause) {
      throw keyInvalid("this is not an Ed25519 public key in PEM form", cause);
    }
  }

  get pem(): string {
    return this.#key.export({ type: "spki", format: "pem" }).toString();
  }

  /** Whether this key signed it. */
  vouches(checkpoint: Checkpoint): boolean {
    if (checkpoint.key !== this.fingerprint) return false;
    return verify(null, textOf(checkpoint), this.#key, Buffer.from(checkpoint.signature, "base64"));
  }

  /** Whether this is the key's proof of the tenant's marks. */
  proves(tenant: string, proof: Buffer): boolean {
    return verify(null, proofText(tenant), this.#key, proof);
  }

  attests({ text, signature }: Attested): boolean {
    return verify(null, Buffer.from(text), this.#key, Buffer.from(signature, "base64"));
  }
}

const maxTenants = 1000;
const privateName = "key.pem";
export const publicName = "key.pub";

/** The host's audit key; it never leaves the directory. */
export class AuditKey {
  readonly #marks = new Map<string, Marks>();
  readonly #unowned = new RandomMarks();
  readonly #key: KeyObject;
  readonly public: VerifyKey;

  private constructor(key: KeyObject) {
    this.#key = key;
    this.public = new VerifyKey(createPublicKey(key));
  }

  /**
   * Reads the directory's key, or creates one (mode 0600). Throws `invalid` AUDIT_KEY_INVALID, `unavailable` AUDIT_UNREADABLE, and
   * the file system's errors when a file cannot be written.
   */
  static async open(directory: string): Promise<AuditKey> {
    const path = join(directory, privateName);
    let pem = await reading(path, () => readIfThere(path));
    if (pem === undefined) {
      const made = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" });
      pem = made.toString();
      await replaceFile(path, Buffer.from(pem));
    } else if (((await stat(path)).mode & 0o077) !== 0) {
      throw keyReadByOthers(path);
    }
    const key = AuditKey.#of(pem, path);
    const publicPath = join(directory, publicName);
    if ((await reading(publicPath, () => readIfThere(publicPath))) !== key.public.pem)
      await replaceFile(publicPath, Buffer.from(key.public.pem));
    return key;
  }

  /** The directory's key if this process may read it; undefined if absent. Throws `invalid` AUDIT_KEY_INVALID. */
  static async find(directory: string): Promise<AuditKey | undefined> {
    const path = join(directory, privateName);
    const pem = await readIfThere(path);
    return pem === undefined ? undefined : AuditKey.#of(pem, path);
  }

  static #of(pem: string, path: string): AuditKey {
    try {
      const key = createPrivateKey(pem);
      if (key.asymmetricKeyType !== "ed25519") throw new Error(`it is ${key.asymmetricKeyType ?? "another"}`);
      return new AuditKey(key);
    } catch (cause) {
      throw keyDamaged(path, cause);
    }
  }

  /** JSON cannot be mistaken for a checkpoint, whose text begins differently. */
  attest(statement: Readonly<Record<string, unknown>>, nowMs: number): Attested {
    const time = new Date(nowMs).toISOString();
    const text = JSON.stringify({ ...statement, time, key: this.public.fingerprint });
    return { text, signature: sign(null, Buffer.from(text), this.#key).toString("base64") };
  }

  /** Proves to a tenant which entries have its marks. */
  proofOf(tenant: string): Buffer {
    return sign(null, proofText(tenant), this.#key);
  }

  /** The mark of the entry with this sequence, of this tenant or none. */
  markOf(tenant: string | undefined, sequence: number): string {
    if (tenant === undefined) return this.#unowned.next();
    const name = cut(tenant);
    const marks = this.#marks.get(name) ?? new Marks(this.proofOf(name));
    if (this.#marks.size >= maxTenants) this.#marks.clear();
    this.#marks.set(name, marks);
    return marks.of(sequence);
  }

  sign(sequence: number, hash: string, nowMs: number): Checkpoint {
    const statement = { sequence, hash, time: new Date(nowMs).toISOString(), key: this.public.fingerprint };
    return { ...statement, signature: sign(null, textOf(statement), this.#key).toString("base64") };
  }
}

export const headPath = (directory: string): string => join(directory, "head.json");

/**
 * The newest checkpoint, stored beside the log: cutting the log's tail requires replacing it too. Throws the file system's
 * errors.
 */
export async function findHead(directory: string): Promise<Checkpoint | "missing" | "damaged"> {
  const text = await readIfThere(headPath(directory));
  return text === undefined ? "missing" : (parseCheckpoint(parseJson(text)) ?? "damaged");
}

/** As findHead; undefined unless that finds a checkpoint. */
export async function readHead(directory: string): Promise<Checkpoint | undefined> {
  const head = await findHead(directory);
  return typeof head === "string" ? undefined : head;
}

export const writeHead = async (directory: string, checkpoint: Checkpoint): Promise<void> =>
  await replaceFile(headPath(directory), Buffer.from(`${JSON.stringify(checkpoint)}\n`));

export const readIfThere = (path: string): Promise<string | undefined> => ifExists(readFile(path, "utf8"));
