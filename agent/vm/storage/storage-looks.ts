import { constants } from "node:fs";
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { runChild } from "../../hardware/privileged/child.ts";
import { mountOf, readMounts } from "../../hardware/storage/mounts.ts";
import { systemRoots } from "../../hardware/roots.ts";
import { toSocleError } from "../../kernel/errors.ts";
import { codeOf } from "../../kernel/thrown.ts";
import { defined } from "../../kernel/defined.ts";
import { systemClock } from "../../kernel/clock.ts";
import { Mutex } from "../../kernel/concurrency/mutex.ts";
import { LATE, within } from "../../kernel/concurrency/deadline.ts";

/** The fields of stat in use here. */
export interface FileFacts {
  isFile(): boolean;
  isBlockDevice(): boolean;
  readonly dev: number;
  readonly ino: number;
  readonly rdev: number;
}

type LookAt = (path: string) => Promise<FileFacts>;

/** The device number (st_dev) of the filesystem that holds a path, from its name; undefined if it is not known. */
type DeviceOf = (path: string) => Promise<number | undefined>;

type Sight =
  | { readonly isSeen: true; readonly file?: FileFacts; readonly directory?: FileFacts }
  /** `device`: its filesystem, if known. */
  | { readonly isSeen: false; readonly device?: number };

/** Timeout of a look: a look that takes longer hangs (a dead NFS server). */
export const LOOK_WITHIN_MS = 5000;
/** Limit of hanging looks: one in a thread of this process (of four), the others in child processes. */
const MOST_HANGING = 8;
const MOST_KEPT = 20_000;
/** The file does not exist, or the agent may not look at it. Other errors leave that open. */
const NOT_THERE = new Set(["ENOENT", "ENOTDIR", "EACCES", "EPERM", "ELOOP", "ENAMETOOLONG"]);

interface Looks {
  readonly look: LookAt;
  /** Used while `look` hangs: it takes no thread of this process. */
  readonly lookByChild: LookAt;
  readonly deviceOf: DeviceOf;
  /** Timeout of a look. */
  readonly withinMs: number;
}

/**
 * Looks at files whose server may hang. While a look in a directory hangs, the directory is not looked at again. Nor is
 * any other directory that is known to be on the same filesystem.
 */
export class StorageLooks {
  readonly #looks: Looks;
  /** By directory: the filesystem that it was last seen on. */
  readonly #devices = new Map<string, number>();
  readonly #hanging = new Set<{ readonly directory: string; readonly device: number | undefined }>();
  readonly #mutex = new Mutex();

  constructor(looks: Partial<Looks> = {}) {
    this.#looks = { look: stat, lookByChild, deviceOf: deviceByName, withinMs: LOOK_WITHIN_MS, ...looks };
  }

  /** Looks at one path at a time. Never throws. */
  async at(path: string): Promise<Sight> {
    return await this.#mutex.run(() => this.#see(path, dirname(path)));
  }

  async #see(path: string, directory: string): Promise<Sight> {
    if (this.#isHanging(directory)) return await this.#unseen(directory);
    const folder = await this.#answer(directory, directory);
    if (folder === "none") return await this.#unseen(directory);
    if (this.#devices.size >= MOST_KEPT) this.#devices.clear();
    if (folder !== undefined) this.#devices.set(directory, folder.dev);
    const file = await this.#answer(path, directory);
    if (file === "none") return await this.#unseen(directory);
    return defined({ isSeen: true, file, directory: folder });
  }

  #isHanging(directory: string): boolean {
    if (this.#hanging.size >= MOST_HANGING) return true;
    const device = this.#devices.get(directory);
    return [...this.#hanging].some(
      (look) => look.directory === directory || (device !== undefined && look.device === device),
    );
  }

  async #unseen(directory: string): Promise<Sight> {
    const device = this.#devices.get(directory) ?? (await this.#looks.deviceOf(directory));
    return device === undefined ? { isSeen: false } : { isSeen: false, device };
  }

  async #answer(path: string, directory: string): Promise<FileFacts | undefined | "none"> {
    const { look, lookByChild: byChild } = this.#looks;
    const looking = (this.#hanging.size === 0 ? look : byChild)(path).catch((thrown: unknown) =>
      NOT_THERE.has(codeOf(thrown) ?? "") ? undefined : "none",
    );
    const found = await within(systemClock, this.#looks.withinMs, looking);
    if (found !== LATE) return found;
    // A link may lead to another filesystem, which may hang: a file proves only its own directory.
    const device = path === directory ? this.#devices.get(directory) : undefined;
    const hanging = { directory, device };
    this.#hanging.add(hanging);
    void looking.then(() => this.#hanging.delete(hanging));
    return "none";
  }
}

const CHILD_WITHIN_MS = 2 * LOOK_WITHIN_MS;
const S_IFMT = 0o170000;
const missing =
  /No such file or directory|Not a directory|Permission denied|Too many levels|File name too long/;

/** Runs stat(1). Settles once the child has exited: a hanging child outlives its kill. */
export const lookByChild: LookAt = async (path) => {
  const argv = ["stat", "-L", "-c", "%f %d %i %t %T", "--", path] as const;
  const child = runChild(argv, { timeoutMs: CHILD_WITHIN_MS, maxOutputBytes: 64 * 1024 });
  try {
    return factsOf((await child.output).stdout);
  } catch (thrown) {
    await child.gone;
    const { message } = toSocleError(thrown);
    throw missing.test(message) ? Object.assign(new Error(message), { code: "ENOENT" }) : thrown;
  }
};

/** Parses mode, device, inode and a special file's device number: all but the second and third hexadecimal. */
function factsOf(text: string): FileFacts {
  const [mode = "", dev = "", ino = "", major = "", minor = ""] = text.trim().split(" ");
  const type = parseInt(mode, 16) & S_IFMT;
  return {
    isFile: () => type === constants.S_IFREG,
    isBlockDevice: () => type === constants.S_IFBLK,
    dev: Number(dev),
    ino: Number(ino),
    rdev: numberOf(`${parseInt(major, 16)}:${parseInt(minor, 16)}`),
  };
}

/** From mountinfo, which never hangs. The root filesystem answers while this process runs: only links hang there. */
async function deviceByName(path: string): Promise<number | undefined> {
  const mounts = await readMounts(systemRoots);
  const mount = mounts.kind === "read" ? mountOf(mounts.value, path) : undefined;
  return mount === undefined || mount.mountPoint === "/" ? undefined : numberOf(mount.device);
}

/** MAJOR:MINOR as stat encodes it (makedev(3)). */
export function numberOf(device: string): number {
  const [major = NaN, minor = NaN] = device.split(":").map(Number);
  return (minor & 0xff) + (major & 0xfff) * 0x100 + (minor >>> 8) * 0x10_0000;
}
