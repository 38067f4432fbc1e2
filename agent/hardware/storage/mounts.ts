import { join } from "node:path";
import { readText, readTextIfThere, reading, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";

/** A mounted filesystem in this process's mount namespace. */
export interface Mount {
  readonly mountPoint: string;
  /** MAJOR:MINOR: the same for all mounts of one filesystem. */
  readonly device: string;
  readonly type: string;
  readonly source: string;
  /** The filesystem itself is read-only, not only this mount of it. */
  readonly readOnly: boolean;
}

/**
 * Mounts from mountinfo (proc_pid_mountinfo(5)). Only the filesystem's own options, its last field, show a broken
 * filesystem: in a hardened service nearly every mount is read-only.
 */
export function readMounts(roots: Roots): Promise<Reading<readonly Mount[]>> {
  const path = join(roots.procRoot, "self/mountinfo");
  return reading(path, async () =>
    (await readText(path)).split("\n").map((line) => {
      const [place = "", filesystem = ""] = line.split(" - ");
      const [, , device, , mountPoint] = place.split(" ");
      const [type, source, options] = filesystem.split(" ");
      if (device === undefined || mountPoint === undefined || type === undefined || source === undefined)
        throw new Error(`${path} has a malformed line: ${JSON.stringify(line.slice(0, 100))}`);
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

/** Newer kernels keep an ext4 with errors mounted "rw" and add options of their own. */
const TAKES_NO_WRITES = new Set(["ro", "emergency_ro", "shutdown"]);

/** The mount of a path. */
export function mountOf(mounts: readonly Mount[], path: string): Mount | undefined {
  const holds = ({ mountPoint }: Mount): boolean =>
    mountPoint === "/" || path === mountPoint || path.startsWith(`${mountPoint}/`);
  // The later of two mounts at one place is on top.
  return mounts
    .filter(holds)
    .reduce<Mount | undefined>(
      (best, mount) => (mount.mountPoint.length >= (best?.mountPoint.length ?? 0) ? mount : best),
      undefined,
    );
}

/** Mount points that fstab(5) mounts writable at boot. Empty without an fstab. */
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

/** The kernel escapes spaces, tabs, newlines and backslashes as three octal digits. */
const unescape = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
