import { formatOf } from "../../contract/spec-volume-name.ts";
import type { VolumeRef } from "../../contract/spec.ts";
import type { VolumeLookup } from "./volume-lookup.ts";
import { rawFileRefused } from "./volume-refusals.ts";

/**
 * Keeps raw files from guests that could write to them. libvirt probes each file of a pool at every refresh, and believes
 * its first bytes: in a raw file the guest writes those, in a qcow2 file QEMU does. Block devices are not probed.
 */
export class RawFiles {
  readonly #lookup: VolumeLookup;
  readonly #areAllowed: boolean;

  /** `areAllowed`: the operator has the guests trusted. */
  constructor(lookup: VolumeLookup, areAllowed: boolean) {
    this.#lookup = lookup;
    this.#areAllowed = areAllowed;
  }

  /** Throws `denied` RAW_FILE_REFUSED for a raw volume in a pool of files, and as `VolumeLookup.pool`. */
  async refuse(volume: VolumeRef, change: "make" | "use"): Promise<void> {
    if (this.#areAllowed || formatOf(volume.volume) !== "raw") return;
    const directory = await this.#lookup.directoryOf(await this.#lookup.pool(volume.pool));
    if (directory !== undefined) throw rawFileRefused(volume, directory, change);
  }

  /** The format of a disk's new volume in the pool: raw among block devices alone. Throws as `VolumeLookup.pool`. */
  async formatIn(pool: string): Promise<"qcow2" | "raw"> {
    const directory = await this.#lookup.directoryOf(await this.#lookup.pool(pool));
    return directory === undefined ? "raw" : "qcow2";
  }
}
