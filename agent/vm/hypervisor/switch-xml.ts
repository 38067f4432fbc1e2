import { buildSnapshot, type Disk } from "../../libvirt/xml/index.ts";
import { diskAlias } from "../model/device-names.ts";
import { pathOf } from "./define-file.ts";

/** A disk by its name in the spec, and the overlay that the guest is to write to. */
export interface Overlay {
  readonly disk: string;
  readonly path: string;
}

/** libvirt's snapshot that switches these disks to existing overlays; `memory`: the file that it writes the memory to. */
export function switchXml(
  disks: readonly Pick<Disk, "alias" | "source" | "target">[],
  overlays: readonly Overlay[],
  memory?: string,
): string {
  return buildSnapshot({
    ...(memory === undefined ? {} : { memory: { snapshot: "external", path: memory } }),
    disks: disks.map(({ alias, source, target: { device: name } }) => {
      const path = overlays.find(({ disk }) => diskAlias(disk) === alias)?.path;
      // The definition of a guest that has ended may have been written for some of the disks alone.
      return path === undefined || path === pathOf(source)
        ? { name, snapshot: "no" }
        : { name, snapshot: "external", overlay: { type: "file", path, format: "qcow2" } };
    }),
  });
}
