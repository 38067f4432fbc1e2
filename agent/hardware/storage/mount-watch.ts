import { OneChild, runChild, type Child } from "../privileged/child.ts";
import { mountOf, readMounts, readWantedWritable, type Mount } from "./mounts.ts";
import type { Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";

/** A filesystem that should be writable. */
export interface WatchedMount {
  readonly mountPoint: string;
  readonly type: string;
  readonly source: string;
  readonly readOnly: boolean;
  /** It holds disks of VMs. */
  readonly holdsVms: boolean;
}

/**
 * Finds filesystems that turned read-only: those with data of the agent or of VMs, those that fstab mounts
 * writable, and those on a disk that were writable since the agent started.
 */
export class MountWatch {
  readonly #roots: Roots;
  /** Devices of filesystems seen writable. */
  #writable = new Set<string>();
  /** Resolved targets of paths that may contain symbolic links. */
  readonly #targets = new Map<string, string>();
  readonly #children = new OneChild();
  readonly #realpath: typeof realpath;

  /** `ask`: only for tests. */
  constructor(roots: Roots, ask = realpath) {
    this.#roots = roots;
    this.#realpath = ask;
  }

  /** `paths`: must be writable; `vmPaths`: also hold disks of VMs. */
  async read(paths: Iterable<string>, vmPaths: Iterable<string>): Promise<Reading<readonly WatchedMount[]>> {
    const mounts = await readMounts(this.#roots);
    if (mounts.kind !== "read") return mounts;
    const wanted = await readWantedWritable(this.#roots);
    const [ourPaths, vmsPaths] = [new Set(paths), new Set(vmPaths)];
    for (const path of this.#targets.keys())
      if (!ourPaths.has(path) && !vmsPaths.has(path)) this.#targets.delete(path);
    const on = async (at: ReadonlySet<string>): Promise<Set<string | undefined>> => {
      const targets = await Promise.all([...at].map((path) => this.#targetOf(path)));
      return new Set(targets.map((path) => mountOf(mounts.value, path)?.device));
    };
    const [ours, vms] = [await on(ourPaths), await on(vmsPaths)];
    const isWatched = ({ device, mountPoint }: Mount): boolean =>
      ours.has(device) || vms.has(device) || wanted.has(mountPoint) || this.#writable.has(device);
    const found = mounts.value.filter(isWatched);
    const isWritableDisk = (mount: Mount): boolean => !mount.readOnly && mount.source.startsWith("/");
    const present = new Set(mounts.value.map(({ device }) => device));
    const writable = mounts.value.filter(isWritableDisk).map(({ device }) => device);
    this.#writable = new Set([...this.#writable].filter((device) => present.has(device)).concat(writable));
    const first = new Map<string, Mount>();
    for (const mount of [...found, ...mounts.value.filter(isWritableDisk)]) {
      if (!first.has(mount.device)) first.set(mount.device, mount);
    }
    return {
      kind: "read",
      value: [...first.values()].map(({ mountPoint, type, source, readOnly, device }) => ({
        mountPoint,
        type,
        source,
        readOnly,
        holdsVms: vms.has(device),
      })),
    };
  }

  /**
   * Resolved by a child, since a filesystem on the way may hang. Until the child answers, the path is used
   * unresolved.
   */
  async #targetOf(path: string): Promise<string> {
    const known = this.#targets.get(path);
    if (known !== undefined) return known;
    const { output } = this.#children.of(path, () => this.#realpath(path));
    try {
      const target = (await output).stdout.replace(/\n$/, "");
      this.#targets.set(path, target);
      return target;
    } catch {
      return path;
    }
  }
}

function realpath(path: string): Child {
  const limits = { timeoutMs: 2000, maxOutputBytes: 8192 };
  return runChild(["realpath", "--canonicalize-missing", "--", path], limits);
}
