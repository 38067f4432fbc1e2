import { readdir, readlink } from "node:fs/promises";
import { basename, join } from "node:path";
import { isAbsent, parseWhole, readText, reading, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";
import { defined } from "../../kernel/defined.ts";

/** A PCI function in sysfs. Members that do not apply are absent. */
export interface PciFunction {
  /** 0000:3b:00.0 */
  readonly address: string;
  /** Class, subclass and interface: 0x020000 is Ethernet. */
  readonly classCode: number;
  readonly vendorId: number;
  readonly productId: number;
  readonly driver?: string;
  readonly iommuGroup?: number;
  readonly cell?: number;
  /** With SR-IOV: the maximum of virtual functions, and those enabled. */
  readonly virtualFunctions?: { readonly max: number; readonly enabled: number };
  /** Of a virtual function: its physical function. */
  readonly parent?: string;
}

export interface PciFunctions {
  readonly functions: readonly PciFunction[];
  /** What could not be read, and why. */
  readonly unread: readonly string[];
}

/** Drivers that keep a function for a guest: vfio-pci and its device-specific variants, such as mlx5_vfio_pci. */
export const VFIO_DRIVER = /^(.*[-_])?vfio[-_]pci$/;

/** Classes of the board itself (memory, bridges, ...), which cannot be assigned to a guest. */
const BOARD_CLASSES: ReadonlySet<number> = new Set([0x05, 0x06, 0x08]);
const AT_ONCE = 8;
const TIMEOUT_MS = 5000;

/** All functions that can be assigned to a guest, ordered by address. */
export function readPciFunctions(roots: Roots): Promise<Reading<PciFunctions>> {
  const directory = join(roots.sysRoot, "bus/pci/devices");
  const read = async (): Promise<PciFunctions> => {
    const addresses = await readdir(directory);
    const functions: PciFunction[] = [];
    const unread: string[] = [];
    // libuv has four file threads, which other reads need too.
    const work = async (): Promise<void> => {
      for (let address = addresses.pop(); address !== undefined; address = addresses.pop()) {
        const found = await readFunction(directory, address, unread);
        if (found !== undefined) functions.push(found);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    functions.sort((a, b) => (a.address < b.address ? -1 : 1));
    return { functions, unread: unread.sort() };
  };
  return reading(directory, read, TIMEOUT_MS);
}

/** Undefined: it disappeared after the listing, belongs to the board, or its class is unreadable. */
async function readFunction(
  directory: string,
  address: string,
  unread: string[],
): Promise<PciFunction | undefined> {
  const part = async <T>(name: string, read: (path: string) => Promise<T>): Promise<T | undefined> => {
    try {
      return await read(join(directory, address, name));
    } catch (thrown) {
      if (!isAbsent(thrown)) unread.push(`${name} of PCI device ${address}: ${String(thrown)}`);
      return undefined;
    }
  };
  const number = (name: string): Promise<number | undefined> =>
    part(name, async (file) => parseWhole(await readText(file), file));
  const target = (name: string): Promise<string | undefined> =>
    part(name, async (link) => basename(await readlink(link)));

  const classCode = await number("class");
  if (classCode === undefined || BOARD_CLASSES.has(classCode >> 16)) return undefined;
  const [vendorId, productId] = [await number("vendor"), await number("device")];
  if (vendorId === undefined || productId === undefined) return undefined;
  const driver = await target("driver");
  const group = await target("iommu_group");
  const cell = await number("numa_node");
  const parent = await target("physfn");
  const max = await number("sriov_totalvfs");
  const enabled = max === undefined || max === 0 ? undefined : await number("sriov_numvfs");
  return defined({
    address,
    classCode,
    vendorId,
    productId,
    driver,
    iommuGroup: group === undefined ? undefined : Number(group),
    // -1: no specific cell.
    cell: cell === undefined || cell < 0 ? undefined : cell,
    parent,
    virtualFunctions: max === undefined || enabled === undefined ? undefined : { max, enabled },
  });
}
