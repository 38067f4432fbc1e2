import { formatBytes } from "../../kernel/text/bytes.ts";
import { tooMany } from "../../state/operations/refusals.ts";

const MIB = 1024 * 1024;
/** Intents are in memory and in the journal. */
const MOST_BYTES = { ofTenant: 4 * MIB, ofAll: 32 * MIB };

interface Held {
  readonly tenant: string;
  readonly bytes: number;
}

/** Bounds the secret parts of cloud-init seeds that wait in unfinished operations for their volumes. */
export class SeedRoom {
  /** By the spec or the intent of the operation. */
  readonly #held = new Map<object, Held>();

  /** Throws `exhausted` TOO_MANY_OPERATIONS if too many bytes wait already. */
  require(tenant: string, bytes: number): void {
    if (bytes === 0) return;
    let [ofTenant, ofAll] = [bytes, bytes];
    for (const held of this.#held.values()) {
      ofAll += held.bytes;
      if (held.tenant === tenant) ofTenant += held.bytes;
    }
    const isTenants = tenant !== "" && ofTenant > MOST_BYTES.ofTenant;
    if (!isTenants && ofAll <= MOST_BYTES.ofAll) return;
    const bound = isTenants ? MOST_BYTES.ofTenant : MOST_BYTES.ofAll;
    const whose = isTenants ? ` of the tenant ${tenant}` : "";
    throw tooMany(`${formatBytes(bound)} of user data${whose} wait in unfinished operations`, 1000);
  }

  hold(key: object, tenant: string, bytes: number): void {
    if (bytes > 0) this.#held.set(key, { tenant, bytes });
  }

  release(key: object): void {
    this.#held.delete(key);
  }
}
