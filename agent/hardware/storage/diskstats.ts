import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { parseWhole, readText, readTextIfThere, reading, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";
import { entriesOf } from "../walk.ts";
import { defined } from "../../kernel/defined.ts";

/** I/O counters of a host disk since it was found, for all programs including guests. */
interface DiskIo {
  /** As in /dev: nvme0n1, sda, md0, dm-3. */
  readonly device: string;
  readonly read: DiskRequests;
  readonly write: DiskRequests;
  /** Requests in flight. */
  readonly inProgress: number;
  /** Time with at least one request in flight: its rate is the utilisation. */
  readonly busySeconds: number;
  /** Summed time of all requests in flight: its rate is the queue length. */
  readonly weightedSeconds: number;
  /** Absent before kernel 4.18. */
  readonly discard?: DiskRequests;
  /** Absent before kernel 5.5. */
  readonly flush?: Pick<DiskRequests, "ops" | "seconds">;
}

interface DiskRequests {
  readonly ops: number;
  /** Requests merged with a neighbour before they reached the device. */
  readonly merged: number;
  readonly bytes: number;
  readonly seconds: number;
}

/** diskstats counts sectors of 512 bytes on every device. */
const SECTOR_BYTES = 512;
/** RAM disks, loop devices and removable-media drives. */
const NO_DISK = /^(loop|ram|zram|fd|sr)\d+$/;

/** Whole disks, arrays and mapped devices (Documentation/admin-guide/iostats.rst), without partitions. */
export function readDiskIo(roots: Roots): Promise<Reading<readonly DiskIo[]>> {
  const path = join(roots.procRoot, "diskstats");
  return reading(path, async () => {
    // sysfs lists partitions below their disk.
    const whole = new Set(await readdir(join(roots.sysRoot, "block")));
    const lines = (await readText(path)).split("\n").filter((line) => line !== "");
    return lines.flatMap((line) => {
      const [, , device = "", ...columns] = line.trim().split(/\s+/);
      if (!whole.has(device.replaceAll("/", "!")) || NO_DISK.test(device)) return [];
      return [ioOf(device, columns)];
    });
  });
}

/** A device-mapper device, such as a logical volume, an encrypted disk or a multipath device. */
interface MappedDevice {
  /** dm-3 */
  readonly device: string;
  /** As in /dev/mapper. */
  readonly name: string;
}

/** Omits devices that disappear during the read or have no name yet. */
export function readMappedDevices({ sysRoot }: Roots): Promise<Reading<readonly MappedDevice[]>> {
  const block = join(sysRoot, "block");
  return reading(`${block}/dm`, async () => {
    const found: MappedDevice[] = [];
    // Sequential: a host with many volumes has thousands.
    for (const device of await entriesOf(block)) {
      if (!/^dm-\d+$/.test(device)) continue;
      const name = (await readTextIfThere(join(block, device, "dm/name"))) ?? "";
      if (name !== "") found.push({ device, name });
    }
    return found;
  });
}

function ioOf(device: string, columns: readonly string[]): DiskIo {
  const at = (column: number): number => parseWhole(columns[column], `diskstats ${device}`);
  const requests = (column: number): DiskRequests => ({
    ops: at(column),
    merged: at(column + 1),
    bytes: at(column + 2) * SECTOR_BYTES,
    seconds: at(column + 3) / 1000,
  });
  return defined({
    device,
    read: requests(0),
    write: requests(4),
    inProgress: at(8),
    busySeconds: at(9) / 1000,
    weightedSeconds: at(10) / 1000,
    discard: columns.length > 11 ? requests(11) : undefined,
    flush: columns.length > 15 ? { ops: at(15), seconds: at(16) / 1000 } : undefined,
  });
}
