import { readdir, readlink } from "node:fs/promises";
import { basename, join } from "node:path";
import { VFIO_DRIVER } from "./pci.ts";
import { parseWhole, readTextIfThere, reading, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";
import { entriesOf } from "../walk.ts";

/** A NIC with SR-IOV virtual functions. */
interface SriovFunctions {
  /** The physical function's interface. */
  readonly interfaceName: string;
  /** Virtual functions: the maximum, those enabled, and those of guests (with a VFIO driver). */
  readonly total: number;
  readonly enabled: number;
  readonly assigned: number;
}

/** Empty without an SR-IOV NIC. */
export function readSriov(roots: Roots): Promise<Reading<readonly SriovFunctions[]>> {
  const net = join(roots.sysRoot, "class/net");
  return reading(`${net} sriov`, async () => {
    const found: SriovFunctions[] = [];
    // Sequential: a host with many guests has thousands of interfaces, and other reads need libuv's threads too.
    for (const name of (await readdir(net)).sort()) {
      const functions = await readFunction(name, join(net, name, "device"));
      if (functions !== undefined) found.push(functions);
    }
    return found;
  });
}

async function readFunction(interfaceName: string, device: string): Promise<SriovFunctions | undefined> {
  const total = await readTextIfThere(join(device, "sriov_totalvfs"));
  const enabled = await readTextIfThere(join(device, "sriov_numvfs"));
  if (total === undefined || enabled === undefined) return undefined;
  const entries = await entriesOf(device);
  // The interface disappeared during the read.
  if (entries.length === 0) return undefined;
  const links = entries.filter((name) => /^virtfn\d+$/.test(name));
  const drivers = await Promise.all(links.map((link) => target(join(device, link, "driver"))));
  return {
    interfaceName,
    total: parseWhole(total, `sriov_totalvfs of ${interfaceName}`),
    enabled: parseWhole(enabled, `sriov_numvfs of ${interfaceName}`),
    assigned: drivers.filter((driver) => VFIO_DRIVER.test(driver)).length,
  };
}

async function target(link: string): Promise<string> {
  // A function without a driver has no such link.
  return basename(await readlink(link).catch(() => ""));
}
