import type { VolumeRef } from "../../contract/spec.ts";
import { volumesOf, type DeviceSpec } from "../model/volume-names.ts";
import { volumeKey, type Looked, type Place } from "./volume-users.ts";
import type { ResolvedVolume, Volumes } from "./volumes.ts";

/** Throws as `Volumes.resolve` does, and `denied` RAW_FILE_REFUSED for one that the guest could write to. */
export async function lookAt(
  volumes: Pick<Volumes, "resolve" | "dependents" | "rawFiles">,
  spec: DeviceSpec,
): Promise<Looked> {
  const found = new Map<string, ResolvedVolume>();
  const places: Place[] = [];
  const written: VolumeRef[] = [];
  for (const { pool, volume, role, writes, named } of volumesOf(spec)) {
    if (!named) continue;
    if (writes) await volumes.rawFiles.refuse({ pool, volume }, "use");
    const key = volumeKey({ pool, volume });
    const image = found.get(key) ?? (await volumes.resolve({ pool, volume }));
    found.set(key, image);
    places.push({ at: image.path, role, writes });
    for (const { name, path } of image.beneath)
      for (const at of [path, volumeKey({ pool, volume: name })])
        places.push({ at, role: "base", writes: false });
    if (writes) written.push({ pool, volume });
  }
  const { overlays } = written.length === 0 ? { overlays: [] } : await volumes.dependents(written);
  return { found, places, overlays };
}
