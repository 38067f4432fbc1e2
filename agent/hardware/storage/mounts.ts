import { join } from "node:path";
import { readText, readTextIfThere, reading, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";

/** A filesystem as it is mounted in this process's view. */
export interface Mount {
  readonly mountPoint: string;
  /** MAJOR:MINOR: the same for every place that one filesystem is mounted at. */
  readonly device: string;
  readonly type: string;
  readonly source: string;
  /** The filesystem itself takes no writes, wherever it is mounted. Not: this one place of it is read-only. */
  readonly readOnly: boolean;
}

/**
 * What is mounted, from mountinfo (proc_pid_mountinfo(5)). Of its two sets of options only the last, the filesystem's
 * own, tells of a broken one: a hardened service sees nearly every place bound read-only, on healthy filesystems.
 */
export function readMounts(roots: Roots): Promise<Reading<readonly Mount[]>> {
  const path = join(roots.procRoot, "self/mountinfo");
  return reading(path, async () =>
    (await readText(path)).split("\n").map((line) => {
      const [place = "", filesystem = ""] = line.split(" - ");
      const [, , device, , mountPoint] = place.split(" ");
      const [type, source, options] = filesystem.split(" ");
      if (device === undefined || mountPoint === undefined || type === undefined || source === undefined) {
        throw new Error(`${path} has a line ${JSON.stringify(line.slice(0, 100))}`);
      }
      return {
        mountPoint: unescape(mountPoint),
        device,
        type,
        source: unescape(source),
        readOnly: (options ?? "").split(",").some((option) => TAKES_NO_WRITES.has(option)),
      };
    }),
  );
}

/** Newer kernels leave an ext4 that met an error mounted "rw" and say so with words of their own. */
const TAKES_NO_WRITES = new Set(["ro", "emergency_ro", "shutdown"]);

/** The mount that a path is on. */
export function mountOf(mounts: readonly Mount[], path: string): Mount | undefined {
  const holds = ({ mountPoint }: Mount): boolean =>
    mountPoint === "/" || path === mountPoint || path.startsWith(`${mountPoint}/`);
  // Of two at one place the later one is on top.
  return mounts
    .filter(holds)
    .reduce<Mount | undefined>(
      (best, mount) => (mount.mountPoint.length >= (best?.mountPoint.length ?? 0) ? mount : best),
      undefined,
    );
}

/** Where fstab(5) wants a writable filesystem at boot. Empty without an fstab. */
export async function readWantedWritable(roots: Roots): Promise<ReadonlySet<string>> {
  const lines = ((await readTextIfThere(join(roots.etcRoot, "fstab"))) ?? "").split("\n");
  const wanted = lines.flatMap((line) => {
    const [source, mountPoint, , options = "defaults"] = line.trim().split(/\s+/);
    if (source === undefined || source.startsWith("#") || mountPoint?.startsWith("/") !== true) return [];
    const isWanted = options.split(",").every((option) => !["ro", "noauto"].includes(option));
    return isWanted ? [unescape(mountPoint)] : [];
  });
  return new Set(wanted);
}

/** The kernel writes spaces, tabs, newlines and backslashes as three octal digits. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
}
