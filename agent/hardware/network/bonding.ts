import { join } from "node:path";
import { isAbsent, readText, readTextIfThere, reading, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";
import { notHere } from "../walk.ts";

export interface Bond {
  readonly name: string;
  readonly slaves: readonly BondSlave[];
}

interface BondSlave {
  readonly name: string;
  /** The bond uses it, and its link is up. */
  readonly up: boolean;
}

/** Unsupported without the bonding driver; empty without bonds. */
export function readBonds(roots: Roots): Promise<Reading<readonly Bond[]>> {
  const net = join(roots.sysRoot, "class/net");
  const masters = join(net, "bonding_masters");
  return reading(masters, async () => {
    const names = words(await readMasters(masters));
    const bonds = await Promise.all(names.map((name) => readBond(net, name)));
    return bonds.filter((bond) => bond !== undefined);
  });
}

async function readMasters(path: string): Promise<string> {
  try {
    return await readText(path);
  } catch (cause) {
    if (isAbsent(cause)) throw notHere("no bonds: the kernel's bonding driver is not loaded");
    throw cause;
  }
}

/** Undefined if the bond disappeared during the read. */
async function readBond(net: string, name: string): Promise<Bond | undefined> {
  const slaves = await readTextIfThere(join(net, name, "bonding/slaves"));
  if (slaves === undefined) return undefined;
  return { name, slaves: await Promise.all(words(slaves).map((slave) => readSlave(net, slave))) };
}

/**
 * Without link monitoring (miimon 0) the bond treats every slave as up, so the interface's own state counts too. A slave
 * without a device is down.
 */
async function readSlave(net: string, name: string): Promise<BondSlave> {
  const [mii, operstate] = await Promise.all([
    readTextIfThere(join(net, name, "bonding_slave/mii_status")),
    readTextIfThere(join(net, name, "operstate")),
  ]);
  return { name, up: mii === "up" && operstate !== "down" };
}

const words = (text: string): string[] => text.split(/\s+/).filter((word) => word !== "");
