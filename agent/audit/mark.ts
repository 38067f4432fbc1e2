import { createHash, createHmac, randomBytes } from "node:crypto";

// An entry's mark identifies its tenant, but only to holders of that tenant's proof; to others it is 128 random-looking bits.
// The chain holds the mark beside the entry's text (chain.ts), so both can be shown apart: with all marks and its own texts,
// a tenant can verify that no entry is missing, and learns nothing about others.

/** Makes a tenant's marks from its proof, the host audit key's signature of the tenant's name. */
export class Marks {
  readonly #key: Buffer;

  constructor(proof: Buffer) {
    this.#key = createHash("sha256").update(proof).digest();
  }

  /** The mark of this tenant's entry with this sequence: 32 hexadecimal digits. */
  of(sequence: number): string {
    return createHmac("sha256", this.#key).update(String(sequence)).digest("hex").slice(0, 32);
  }
}

const MARK_BYTES = 16;

/** Marks of entries without a tenant. To draw random bytes for each costs more CPU time than encoding the entry. */
export class RandomMarks {
  #bytes = Buffer.alloc(0);
  #usedBytes = 0;

  next(): string {
    if (this.#usedBytes === this.#bytes.length)
      [this.#bytes, this.#usedBytes] = [randomBytes(256 * MARK_BYTES), 0];
    return this.#bytes.toString("hex", this.#usedBytes, (this.#usedBytes += MARK_BYTES));
  }
}

/** The text that the audit key signs for a tenant. Ed25519 is deterministic (RFC 8032, 5.1.6). */
export const proofText = (tenant: string): Buffer => Buffer.from(`socle audit tenant 1\n${tenant}\n`);
