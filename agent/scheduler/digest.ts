import { createHash } from "node:crypto";

/** The parts of a VM that the digest covers. */
interface DigestVm {
  readonly id: string;
  readonly etag: string;
}

/**
 * Shows whether two sides hold the same state of a host: SHA-256, in hexadecimal, of a line for the host and a line for each
 * VM in order of id (proto/socle/v1/scheduler.proto specifies it). `vms` may come in any order.
 */
export function stateDigest(hostEtag: string, vms: Iterable<DigestVm>): string {
  const hash = createHash("sha256").update(`host ${hostEtag}\n`);
  const sorted = [...vms].sort((a, b) => (a.id < b.id ? -1 : 1));
  for (const { id, etag } of sorted) hash.update(`vm ${id} ${etag}\n`);
  return hash.digest("hex");
}
