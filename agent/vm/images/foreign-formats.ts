import type { ForeignDisk, StoredBytes } from "./foreign-disk.ts";
import type { ForeignFormat } from "./image.ts";
import { requireVhdxSignature } from "./vhdx-header.ts";
import { openVhdx } from "./vhdx.ts";
import { readVmdkHeader } from "./vmdk-header.ts";
import { openVmdk } from "./vmdk.ts";

/**
 * Judges the first bytes (`HEADER_BYTES` of them, or all), before any of them reaches a pool. Throws `denied` IMAGE_UNSAFE,
 * `invalid` IMAGE_FORMAT_MISMATCH.
 */
export function requireForeignHead(head: Buffer, format: ForeignFormat): void {
  if (format === "vmdk") readVmdkHeader(head);
  else requireVhdxSignature(head);
}

/** Reads the whole map of the disk, and judges it. Throws as `requireForeignHead`, and what `bytes` throws. */
export const openForeign = async (bytes: StoredBytes, format: ForeignFormat): Promise<ForeignDisk> =>
  await (format === "vmdk" ? openVmdk(bytes) : openVhdx(bytes));
