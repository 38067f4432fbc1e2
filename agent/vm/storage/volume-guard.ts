import { lstat } from "node:fs/promises";
import { dirname } from "node:path";
import { SocleError } from "../../kernel/errors.ts";
import type * as libvirt from "../../libvirt/index.ts";
import type { LibvirtCalls } from "../hypervisor/certainty.ts";
import { formatsSeenIn, MAGIC_BYTES } from "./image-magic.ts";
import { asNamed } from "../../contract/spec-named-volume.ts";
import { HEADER_BYTES, readQcow2Header } from "./qcow2-header.ts";
import { VolumeLookup } from "./volume-lookup.ts";
import { readVolume } from "./volume-read.ts";
import { formatOf, tenantOfVolume } from "../../contract/spec-volume-name.ts";
import { volumeSuspicious } from "./volume-refusals.ts";
import { vmOfVolume } from "../model/volume-names.ts";

/** A volume to be opened. */
export interface Image {
  readonly vol: libvirt.StorageVol;
  readonly name: string;
  readonly path: string;
  /** From its name. */
  readonly format: "qcow2" | "raw";
  /** libvirt's type: file, block, dir, network. */
  readonly type: string | undefined;
  /** The format that libvirt found in place of the named one. */
  readonly suspicious?: string | undefined;
}

/** `any`: for a reader of its bytes alone, who judges them. */
export type Header = "as named" | "any";

/** A backing image in the same pool. */
export type Beneath = Pick<Image, "name" | "path">;

/** The fields of lstat in use here. */
export type Look = (
  path: string,
) => Promise<{ isFile(): boolean; isSymbolicLink(): boolean; readonly nlink: number }>;

/** Volume names as specs allow them: neither a path nor a protocol to QEMU. */
const plainName = /^[A-Za-z0-9_][A-Za-z0-9._+-]{0,127}$/;
const MOST_OVERLAYS = 32;

/**
 * Rejects images that make the host open other files for their guest: the author of an image writes its header. libvirt
 * follows a backing chain to any path, and gives each file in it to the guest.
 */
export class VolumeGuard {
  readonly #libvirt: LibvirtCalls;
  readonly #lookup: VolumeLookup;
  readonly #look: Look;

  constructor(calls: LibvirtCalls, look: Look = lstat) {
    this.#libvirt = calls;
    this.#lookup = new VolumeLookup(calls);
    this.#look = look;
  }

  /**
   * Throws `denied` BACKING_OUTSIDE_POOL for an overlay, at any depth, of a file that is no volume of its pool.
   * VOLUME_SUSPICIOUS: a file whose first bytes mean another format than its name. VOLUME_UNSAFE: a link or device among
   * files, an external data file, a backing format other than named, or a VM's own disk as backing image. POOL_DIRECTORY_UNREADABLE: the agent cannot look. `own`: the disks of VMs that may be backing images: the
   * base volume, since the request asked for it, and the layers of a VM's own disk. Returns the backing images, nearest first.
   */
  async check(
    pool: libvirt.StoragePool,
    image: Image,
    own: readonly string[] = [],
    header: Header = "as named",
  ): Promise<readonly Beneath[]> {
    const areFiles = (await this.#lookup.directoryOf(pool)) !== undefined;
    const beneath: Image[] = [];
    let at = image;
    for (let overlays = 0; overlays <= MOST_OVERLAYS; overlays += 1) {
      if (areFiles) await this.#requireFile(at);
      if (areFiles && header === "as named") await this.#requireAsNamed(at);
      const next = at.format === "qcow2" ? await this.#backing(pool, at, own) : undefined;
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
        `the agent cannot check whether ${path} is a file or a link: ` +
        "give the agent's user access to the pool's directory (chmod o+x), outside of /home and /tmp";
      throw new SocleError("denied", "POOL_DIRECTORY_UNREADABLE", message, { cause });
    });
    if (found.isSymbolicLink()) throw unsafe(image, "is a link; put the file itself into the pool");
    if (!found.isFile()) throw unsafe(image, "is not a regular file");
    if (found.nlink > 1) throw unsafe(image, `is a file with ${found.nlink} names; put a copy into the pool`);
  }

  /** libvirt may have probed the file before its first bytes were written. */
  async #requireAsNamed(image: Image): Promise<void> {
    if (image.suspicious !== undefined) throw volumeSuspicious(image.vol, image.suspicious);
    if (image.format === "qcow2") return;
    const head = await readVolume(this.#libvirt, image.vol, MAGIC_BYTES);
    // A LUKS header refers to no other file, and encrypted disks have one.
    const [seen] = formatsSeenIn(head).filter((format) => format !== "luks");
    if (seen !== undefined) throw volumeSuspicious(image.vol, seen);
  }

  /** The backing image. */
  async #backing(
    pool: libvirt.StoragePool,
    image: Image,
    own: readonly string[],
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
      const declared = backing.format ?? "a detected format";
      throw unsafe(
        image,
        `declares its backing file ${name} as ${declared}, but the file's name means ${format}`,
      );
    }
    // Only the request shows whether it was asked for: the author of an image chooses its name as well.
    if ((vmOfVolume(name) ?? tenantOfVolume(name)) !== undefined && !own.includes(name))
      throw unsafe(
        image,
        `is an overlay of ${name}, which is another VM's disk or a tenant's volume; put a copy without that base into the pool`,
      );
    const found = await this.#lookup.describe({ pool: pool.name, volume: name });
    if (found?.path === undefined || dirname(found.path) !== directory) throw outside(image, backing.file);
    const { vol, path, type } = found;
    return { vol, name, path, format, type, suspicious: asNamed(found).suspicious };
  }

  /** libvirt reads it: the agent may not open the file. */
  async #header(image: Image): Promise<ReturnType<typeof readQcow2Header>> {
    const { vol } = image;
    const header = await readVolume(this.#libvirt, vol, HEADER_BYTES);
    try {
      return readQcow2Header(header);
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

/** Any user may have written the text, which goes into messages. */
const printable = (text: string): string => JSON.stringify(text.slice(0, 200));
