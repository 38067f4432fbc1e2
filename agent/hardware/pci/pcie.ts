import { access } from "node:fs/promises";
import { join } from "node:path";
import { succeeds } from "../../kernel/thrown.ts";
import { readFilesByChild } from "../privileged/child-files.ts";
import { reading, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";
import { entriesOf, notHere, numberOf, rescanned } from "../walk.ts";

export const pcieSeverities = ["correctable", "nonfatal", "fatal"] as const;
export type PcieSeverity = (typeof pcieSeverities)[number];

export interface PcieDevice {
  /** Its address: 0000:5e:00.0. */
  readonly device: string;
  /** Errors reported since boot; severities that it does not count are absent. */
  readonly errors: Readonly<Partial<Record<PcieSeverity, number>>>;
  /** Lanes in use and lanes available; absent for a non-endpoint, or without a link. */
  readonly linkWidth?: number;
  readonly linkWidthMax?: number;
}

/** Classes whose link width matters: storage, network, display, processors, accelerators. */
const ENDPOINT = /^0x(01|02|03|0b|12)/;
/** A removed device reads as all ones. */
const NO_WIDTH = new Set([0, 255]);

/**
 * Advanced error reporting (Documentation/ABI/testing/sysfs-bus-pci-devices-aer_stats) and link widths of every device
 * that counts errors. Virtual functions are omitted: they share their parent's port.
 */
export function pcieReader(
  { sysRoot }: Roots,
  monotonicMs: () => number,
): (signal: AbortSignal) => Promise<Reading<readonly PcieDevice[]>> {
  const root = join(sysRoot, "bus/pci/devices");
  const devicesOf = rescanned(monotonicMs, (signal) => findDevices(root, signal));
  return (signal) =>
    reading(
      `errors of ${root}`,
      async () => {
        const found = await readDevices(root, await devicesOf(signal), signal);
        // A device without values may have been removed.
        const isWhole = found.every(({ errors }) => Object.keys(errors).length > 0);
        const devices = isWhole ? found : await readDevices(root, await devicesOf(signal, "now"), signal);
        if (devices.length === 0) throw notHere("no PCI device counts errors (AER)");
        return devices;
      },
      SCAN_TIMEOUT_MS,
    );
}

const SCAN_TIMEOUT_MS = 15_000;

/** The relevant files of each device. */
async function findDevices(
  root: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const devices = (await entriesOf(root)).sort();
  const classes = await readFilesByChild(
    root,
    devices.map((device) => join(root, device, "class")),
    signal,
  );
  const found = new Map<string, readonly string[]>();
  for (const device of devices) {
    const has = (file: string): Promise<boolean> => succeeds(access(join(root, device, file)));
    if (!(await has("aer_dev_correctable")) || (await has("physfn"))) continue;
    const isEndpoint = ENDPOINT.test(classes.get(join(root, device, "class")) ?? "");
    const widths = isEndpoint ? ["current_link_width", "max_link_width"] : [];
    found.set(device, [...pcieSeverities.map((severity) => `aer_dev_${severity}`), ...widths]);
  }
  return found;
}

async function readDevices(
  root: string,
  devices: ReadonlyMap<string, readonly string[]>,
  signal: AbortSignal,
): Promise<readonly PcieDevice[]> {
  const files = [...devices].flatMap(([device, attributes]) =>
    attributes.map((file) => join(root, device, file)),
  );
  const texts = await readFilesByChild(root, files, signal, { pattern: "^TOTAL_ERR|^[0-9]+$" });
  return [...devices.keys()].map((device) =>
    readDevice(device, (file) => texts.get(join(root, device, file))),
  );
}

function readDevice(device: string, textOf: (file: string) => string | undefined): PcieDevice {
  const errors: Partial<Record<PcieSeverity, number>> = {};
  for (const severity of pcieSeverities) {
    const total = numberOf(textOf(`aer_dev_${severity}`)?.split(" ").at(-1));
    if (total !== undefined) errors[severity] = total;
  }
  const [linkWidth, linkWidthMax] = ["current_link_width", "max_link_width"].map((file) =>
    numberOf(textOf(file)),
  );
  if (linkWidth === undefined || linkWidthMax === undefined) return { device, errors };
  if (NO_WIDTH.has(linkWidth) || NO_WIDTH.has(linkWidthMax)) return { device, errors };
  return { device, errors, linkWidth, linkWidthMax };
}
