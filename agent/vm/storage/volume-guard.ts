import { lstat } from "node:fs/promises";
import { dirname } from "node:path";
import { SocleError } from "../../kernel/errors.ts";
import * as libvirt from "../../libvirt/index.ts";
import { parsePool, parseVolume } from "../../libvirt/xml/index.ts";
import type { LibvirtCalls } from "../hypervisor/certainty.ts";
import { HEADER_BYTES, readQcow2Header } from "./qcow2-header.ts";
import { formatOf, vmOfVolume } from "../model/volume-names.ts";

/** A volume as it is to be opened. */
export interface Image {
  readonly vol: libvirt.StorageVol;
  readonly name: string;
  readonly path: string;
  /** By its name. */
  readonly format: "qcow2" | "raw";
  /** As libvirt calls it: file, block, dir, network. */
  readonly type: string | undefined;
}

/** An image of the same pool that others are overlays of. */
export type Beneath = Pick<Image, "name" | "path">;

/** As much of what lstat says as is asked for here. */
export type Look = (
  path: string,
) => Promise<{ isFile(): boolean; isSymbolicLink(): boolean; readonly nlink: number }>;

/** Pools whose volumes are files that others may put there; in the others libvirt's own paths are links. */
export const directories: ReadonlySet<string> = new Set(["dir", "fs", "netfs", "vstorage"]);
/** As volumes are named in specs: neither a path nor anything that QEMU takes for a protocol. */
const plainName = /^[A-Za-z0-9_][A-Za-z0-9._+-]{0,127}$/;
const MOST_OVERLAYS = 32;

/**
 * Refuses images that would have the host open something else than themselves, for their guest to read and to write: who may
 * bring an image writes its header. libvirt walks a chain wherever that leads, and gives each file in it to the guest.
 */
export class VolumeGuard {
  readonly #libvirt: LibvirtCalls;
  readonly #look: Look;

  constructor(calls: LibvirtCalls, look: Look = lstat) {
    this.#libvirt = calls;
    this.#look = look;
  }

  /**
   * Throws `denied` BACKING_OUTSIDE_POOL for an overlay, however deep, of what is no volume of its pool; VOLUME_UNSAFE for a
   * link or a device among files, data in another file, a format that is not as named, and a VM's own disk behind an image;
   * VOLUME_UNSEEN where the agent cannot look. `base`: the volume that a spec names as what the image is to be an overlay
   * of; it alone may be a VM's own, since it was asked for. Gives what it is an overlay of, the nearest first.
   */
  async check(pool: libvirt.StoragePool, image: Image, base?: string): Promise<readonly Beneath[]> {
    const { xml } = await this.#libvirt.call(libvirt.storagePoolGetXmlDesc, { pool, flags: 0 });
    const areFiles = directories.has(parsePool(xml).type);
    const beneath: Image[] = [];
    let at = image;
    for (let overlays = 0; overlays <= MOST_OVERLAYS; overlays += 1) {
      if (areFiles) await this.#requireFile(at);
      const named = at === image ? base : undefined;
      const next = at.format === "qcow2" ? await this.#backing(pool, at, named) : undefined;
      if (next === undefined) return beneath;
      beneath.push(next);
      at = next;
    }
    throw unsafe(image, `is an overlay of more than ${MOST_OVERLAYS} others`);
  }

  async #requireFile(image: Image): Promise<void> {
    const { path, type } = image;
    if (type !== undefined && type !== "file") throw unsafe(image, `is no file (${type})`);
    const found = await this.#look(path).catch((cause: unknown) => {
      const message =
        `the agent cannot see whether ${path} is a file or a link to one elsewhere: ` +
        "let its user into the pool's directory (chmod o+x), outside of /home and /tmp";
      throw new SocleError("denied", "VOLUME_UNSEEN", message, { cause });
    });
    if (found.isSymbolicLink()) throw unsafe(image, "is a link; put the file itself into the pool");
    if (!found.isFile()) throw unsafe(image, "is no file");
    if (found.nlink > 1) throw unsafe(image, `is a file with ${found.nlink} names; put a copy into the pool`);
  }

  /** What it is an overlay of. */
  async #backing(
    pool: libvirt.StoragePool,
    image: Image,
    base: string | undefined,
  ): Promise<Image | undefined> {
    const { hasDataFile, backing } = (await this.#header(image)) ?? { hasDataFile: false };
    if (hasDataFile) throw unsafe(image, "has its data in another file; convert it (qemu-img convert)");
    if (backing === undefined) return undefined;
    const directory = dirname(image.path);
    const name = backing.file.startsWith(`${directory}/`)
      ? backing.file.slice(directory.length + 1)
      : backing.file;
    if (!plainName.test(name)) throw outside(image, backing.file);
    const format = formatOf(name);
    if (backing.format !== format) {
      const said = backing.format ?? "whatever it looks like";
      throw unsafe(image, `takes its backing file ${name} for ${said}, and by its name that is ${format}`);
    }
    // Only the request can tell whether it was asked for: who brings an image chooses its name, too.
    if (vmOfVolume(name) !== undefined && name !== base)
      throw unsafe(
        image,
        `is an overlay of ${name}, which is a VM's own; put a copy of its own into the pool`,
      );
    const vol = await this.#volume(pool, name);
    if (vol === undefined) throw outside(image, backing.file);
    const { xml } = await this.#libvirt.call(libvirt.storageVolGetXmlDesc, { vol, flags: 0 });
    const { path, type } = parseVolume(xml);
    if (path === undefined || dirname(path) !== directory) throw outside(image, backing.file);
    return { vol, name, path, format, type };
  }

  async #volume(pool: libvirt.StoragePool, name: string): Promise<libvirt.StorageVol | undefined> {
    try {
      return (await this.#libvirt.call(libvirt.storageVolLookupByName, { pool, name })).vol;
    } catch (thrown) {
      if (thrown instanceof SocleError && thrown.reason === "LIBVIRT_NO_STORAGE_VOL") return undefined;
      throw thrown;
    }
  }

  /** libvirt reads it: the file is not the agent's to open. */
  async #header(image: Image): Promise<ReturnType<typeof readQcow2Header>> {
    const { vol } = image;
    const part = { vol, offset: 0, length: HEADER_BYTES, flags: 0 };
    const pieces: Buffer[] = [];
    for await (const piece of await this.#libvirt.openStream(libvirt.storageVolDownload, part))
      pieces.push(piece);
    try {
      return readQcow2Header(Buffer.concat(pieces));
    } catch (cause) {
      if (cause instanceof RangeError) throw unsafe(image, `has ${cause.message}`);
      throw cause;
    }
  }
}

const outside = ({ name, vol }: Image, backing: string): SocleError =>
  new SocleError(
    "denied",
    "BACKING_OUTSIDE_POOL",
    `volume ${name} of pool ${vol.pool} is an overlay of ${printable(backing)}, which is no volume of its pool`,
  );

const unsafe = ({ name, vol }: Image, why: string): SocleError =>
  new SocleError("denied", "VOLUME_UNSAFE", `volume ${name} of pool ${vol.pool} ${why}`);

/** It stands in messages, and was written by anybody. */
const printable = (text: string): string => JSON.stringify(text.slice(0, 200));
