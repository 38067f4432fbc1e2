import { createHash } from "node:crypto";
import { uuidOf } from "../../kernel/text/uuid.ts";
import type { VmMetadata } from "./vm-domain.ts";

const uuid = /^[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}$/;

/**
 * The instance of a VM: a VM created again with the same id has another one. VMs of version 0.1.0 have none in their
 * metadata; theirs is derived from values that never change after creation.
 */
export function instanceOf(
  id: string,
  { instance, createdAt, specDigest }: Pick<VmMetadata, "instance" | "createdAt" | "specDigest">,
): string {
  if (instance !== undefined && uuid.test(instance)) return instance;
  const hash = createHash("sha256").update(`socle instance 1\n${id}\n${createdAt}\n${specDigest}`).digest();
  return uuidOf(hash, 8);
}
