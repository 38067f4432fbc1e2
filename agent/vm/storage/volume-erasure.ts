import * as libvirt from "../../libvirt/index.ts";
import type { VolumeRef } from "../../contract/spec.ts";
import type { Certainty, LibvirtCalls } from "../hypervisor/certainty.ts";
import type { VolumeLookup } from "./volume-lookup.ts";
import { poolFull } from "./volume-refusals.ts";

/** A pool must keep this much free, or the first write of a guest would pause it. */
const LEAST_FREE_BYTES = 64 * 1024 * 1024;

/** More than the LUKS header and the image format's header take; both are at the beginning. */
const LUKS_HEADER_BYTES = 16 * 1024 * 1024;
/** Least write rate assumed for timeouts: 5 MB/s. */
const SLOWEST_BYTES_PER_MS = 5000;

/** Overwrites what volumes hold. Each function throws as `VolumeLookup.describe`. */
export class VolumeErasure {
  readonly #libvirt: LibvirtCalls;
  readonly #lookup: VolumeLookup;
  readonly #certainty: Certainty;

  constructor(calls: LibvirtCalls, lookup: VolumeLookup, certainty: Certainty) {
    this.#libvirt = calls;
    this.#lookup = lookup;
    this.#certainty = certainty;
  }

  /**
   * Overwrites all bytes with zeros, synced to the disk, and returns their number; undefined if the volume does not
   * exist. Throws `exhausted` POOL_FULL if the pool has no room for a thin volume's full size.
   *
   * libvirt's wipe only truncates a sparse file and extends it again, which overwrites nothing. An upload's data may
   * still be in memory when the file is deleted, and is then never written. So an upload fills the holes, and a wipe of
   * the now full file writes and syncs.
   */
  async overwrite(reference: VolumeRef, signal?: AbortSignal): Promise<number | undefined> {
    const found = await this.#measured(reference);
    if (found === undefined) return undefined;
    const { vol, bytes, holeBytes } = found;
    if (holeBytes > 0) {
      const pool = await this.#lookup.activePool(reference.pool);
      const { available } = await this.#libvirt.call(libvirt.storagePoolGetInfo, { pool });
      if (available < holeBytes + LEAST_FREE_BYTES) throw poolFull(reference.pool, available);
      await this.#writeZeros(vol, bytes, { signal });
    }
    await this.#wipe(vol, bytes);
    return bytes;
  }

  /**
   * Overwrites the header of an encrypted volume with zeros, synced to the disk, and returns the number of bytes;
   * undefined if the volume does not exist. A file is cut behind the header, so that the sync has nothing else to
   * write.
   */
  async overwriteHeader(reference: VolumeRef, signal?: AbortSignal): Promise<number | undefined> {
    const found = await this.#measured(reference);
    if (found === undefined) return undefined;
    const { vol, isFile } = found;
    const bytes = Math.min(found.bytes, LUKS_HEADER_BYTES);
    await this.#writeZeros(vol, bytes, { cutBehind: isFile, signal });
    // The kernel syncs a block device when its last user closes it.
    if (isFile) await this.#wipe(vol, bytes);
    return bytes;
  }

  async #measured(
    reference: VolumeRef,
  ): Promise<{ vol: libvirt.StorageVol; bytes: number; holeBytes: number; isFile: boolean } | undefined> {
    const found = await this.#lookup.describe(reference);
    if (found === undefined) return undefined;
    const { vol, physicalBytes, capacityBytes, allocationBytes, type } = found;
    const bytes = physicalBytes ?? capacityBytes;
    return { vol, bytes, holeBytes: bytes - (allocationBytes ?? 0), isFile: type === "file" };
  }

  async #writeZeros(
    vol: libvirt.StorageVol,
    bytes: number,
    { cutBehind = false, signal }: { cutBehind?: boolean; signal: AbortSignal | undefined },
  ): Promise<void> {
    const flags = cutBehind ? libvirt.StorageVolUploadFlags.SPARSE_STREAM : 0;
    const args = { vol, offset: 0, length: cutBehind ? 0 : bytes, flags };
    const stream = await this.#libvirt.openStream(libvirt.storageVolUpload, args, { signal });
    const zeros = Buffer.alloc(Math.min(bytes, 1024 * 1024));
    for (let left = bytes; left > 0; left -= zeros.length)
      await stream.write(left < zeros.length ? zeros.subarray(0, left) : zeros);
    if (cutBehind) await stream.writeHole(1);
    await stream.finish();
  }

  async #wipe(vol: libvirt.StorageVol, bytes: number): Promise<void> {
    const algorithm = libvirt.StorageVolWipeAlgorithm.ZERO;
    const timeoutMs = 60_000 + bytes / SLOWEST_BYTES_PER_MS;
    const slowly = { timeoutMs, lane: "slow" } as const;
    await this.#certainty.ensure(() =>
      this.#libvirt.call(libvirt.storageVolWipePattern, { vol, algorithm, flags: 0 }, slowly),
    );
  }
}
