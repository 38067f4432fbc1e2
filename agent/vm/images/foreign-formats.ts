import type { ForeignDisk, StoredBytes } from "./foreign-disk.ts";
import { requireNoOtherFormat, tooLarge } from "./header-check.ts";
import type { ForeignFormat } from "./image.ts";
import { requireVhdxSignature } from "./vhdx-header.ts";
import { MOST_VHDX_BYTES, openVhdx } from "./vhdx.ts";
import { readVmdkHeader } from "./vmdk-header.ts";
import { MOST_VMDK_BYTES, openVmdk } from "./vmdk.ts";

/**
 * Judges the first bytes (`HEADER_BYTES` of them, or all), before any of them reaches a pool. Throws `denied` IMAGE_UNSAFE,
 * `invalid` IMAGE_FORMAT_MISMATCH.
 */
export function requireForeignHead(head: Buffer, format: ForeignFormat): void {
  if (format === "vmdk") readVmdkHeader(head);
  else requireVhdxSignature(head);
  // libvirt probes the file, and might see that one.
  requireNoOtherFormat(head, format);
}

const mostBytes: Readonly<Record<ForeignFormat, number>> = { vmdk: MOST_VMDK_BYTES, vhdx: MOST_VHDX_BYTES };

/** Throws `invalid` IMAGE_TOO_LARGE for a file whose map would need too much memory. */
export function requireForeignSize(sizeBytes: number, format: ForeignFormat): void {
  const most = mostBytes[format];
  if (sizeBytes > most) throw tooLarge(sizeBytes, most, `of the format ${format}`);
}

/**
 * Reads the whole map of the disk, and judges it. Throws as `requireForeignHead` and `requireForeignSize`, and what `bytes`
 * throws.
 */
export async function openForeign(bytes: StoredBytes, format: ForeignFormat): Promise<ForeignDisk> {
  requireForeignSize(bytes.sizeBytes, format);
  return await (format === "vmdk" ? openVmdk(bytes) : openVhdx(bytes));
}
