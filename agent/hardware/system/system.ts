import { join } from "node:path";
import { parseWhole, readText, readTextIfThere, reading, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";

export interface OperatingSystem {
  readonly hostname: string;
  /** e.g. "Debian GNU/Linux 13 (trixie)". */
  readonly os: string;
  /** The kernel's release, as from uname -r. */
  readonly kernel: string;
  /** Changes with every boot, which ends all guests. */
  readonly bootId: string;
  readonly bootedAtMs: number;
}

export function readOperatingSystem(roots: Roots): Promise<Reading<OperatingSystem>> {
  const kernel = (name: string): Promise<string> => readText(join(roots.procRoot, "sys/kernel", name));
  return reading(join(roots.procRoot, "sys/kernel"), async () => {
    const [hostname, release, bootId, stat, osRelease] = await Promise.all([
      kernel("hostname"),
      kernel("osrelease"),
      kernel("random/boot_id"),
      readText(join(roots.procRoot, "stat")),
      readTextIfThere(join(roots.etcRoot, "os-release")),
    ]);
    const bootedAtSeconds = parseWhole(/^btime (\d+)$/m.exec(stat)?.[1], "btime of /proc/stat");
    return {
      hostname,
      os: osName(osRelease ?? ""),
      kernel: release,
      bootId,
      bootedAtMs: bootedAtSeconds * 1000,
    };
  });
}

/** PRETTY_NAME of os-release(5), which is shell-quoted. */
function osName(osRelease: string): string {
  const quoted = /^PRETTY_NAME=(.*)$/m.exec(osRelease)?.[1] ?? "";
  return quoted.replace(/^(["'])(.*)\1$/, "$2").replace(/\\(.)/g, "$1");
}

/** The machine id of machine-id(5): 32 hex digits. Confidential: derive ids from it, never show it. */
export function readMachineId(roots: Roots): Promise<Reading<string>> {
  const path = join(roots.etcRoot, "machine-id");
  return reading(path, async () => {
    const id = await readText(path);
    if (!/^[0-9a-f]{32}$/.test(id)) throw new Error(`${path} has no machine id`);
    return id;
  });
}
