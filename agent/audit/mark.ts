import { createHash, createHmac, randomBytes } from "node:crypto";

// An entry's mark says whose it is, to those alone who have that tenant's proof: to all others it is 128 random-looking bits.
// The chain holds the mark beside the entry's text (chain.ts), so both can be shown apart: who is given the marks of all
// entries and the texts of his own sees by himself that none of his is missing, and learns nothing of others'.

/** Makes a tenant's marks: from its proof, the signature that the host's audit key makes of the tenant's name. */
export class Marks {
  readonly #key: Buffer;

  constructor(proof: Buffer) {
    this.#key = createHash("sha256").update(proof).digest();
  }

  /** Of this tenant's entry with this sequence: 32 hexadecimal digits. */
  of(sequence: number): string {
    return createHmac("sha256", this.#key).update(String(sequence)).digest("hex").slice(0, 32);
  }
}

const MARK_BYTES = 16;
/** Random bytes for the next marks: one randomBytes call per mark costs more CPU time than encoding the entry. */
let batch = Buffer.alloc(0);
let usedBytes = 0;

/** Of an entry that is about no tenant. */
export function anybodysMark(): string {
  if (usedBytes === batch.length) [batch, usedBytes] = [randomBytes(256 * MARK_BYTES), 0];
  return batch.toString("hex", usedBytes, (usedBytes += MARK_BYTES));
}

/** What the host's audit key signs for a tenant. Ed25519 signs the same text the same way each time (RFC 8032, 5.1.6). */
export const proofText = (tenant: string): Buffer => Buffer.from(`socle audit tenant 1\n${tenant}\n`);
