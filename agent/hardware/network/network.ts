import { join } from "node:path";
import { readText, readTextIfThere, reading, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";
import { numberOf } from "../walk.ts";
import { defined } from "../../kernel/defined.ts";

interface NetworkTraffic {
  readonly bytes: number;
  readonly packets: number;
  readonly errors: number;
  readonly drops: number;
}

interface NetworkInterface {
  readonly name: string;
  readonly receive: NetworkTraffic;
  readonly transmit: NetworkTraffic;
  /** Whether frames can pass (operstate). Undefined if the driver does not report it (loopback, many tap devices). */
  readonly up?: boolean;
  /** Undefined without a link, or if the driver does not report it. */
  readonly speedBytesPerSecond?: number;
}

/** Names that libvirt gives to the host's end of guest NICs; that traffic is shown with each guest. */
const GUEST_END = /^(vnet|macvtap)\d+$/;

/** operstate values of an interface without a link (Documentation/networking/operstates.rst). */
const LINKLESS = new Set(["down", "lowerlayerdown", "notpresent"]);

/** All interfaces of this network namespace except guest NICs, in the kernel's order. Malformed lines are skipped. */
export function readNetworkInterfaces(roots: Roots): Promise<Reading<readonly NetworkInterface[]>> {
  const path = join(roots.procRoot, "net/dev");
  return reading(path, async () => {
    const lines = (await readText(path)).split("\n").slice(2);
    const interfaces: NetworkInterface[] = [];
    // Sequential: `speed` takes the kernel's global network lock, and must not block all of libuv's threads.
    for (const line of lines) {
      const name = line.slice(0, line.lastIndexOf(":")).trim();
      if (GUEST_END.test(name)) continue;
      const found = await readInterface(roots, name, line);
      if (found !== undefined) interfaces.push(found);
    }
    return interfaces;
  });
}

async function readInterface(
  roots: Roots,
  name: string,
  line: string,
): Promise<NetworkInterface | undefined> {
  // The kernel counts in 64 bits: above 2^53 a counter is rounded.
  const columns = line
    .slice(line.lastIndexOf(":") + 1)
    .trim()
    .split(/\s+/)
    .map(numberOf);
  const receive = traffic(columns.slice(0, 4));
  const transmit = traffic(columns.slice(8, 12));
  if (receive === undefined || transmit === undefined) return undefined;
  const operstate = await readTextIfThere(join(roots.sysRoot, "class/net", name, "operstate"));
  // Skip without a link: some drivers still report a speed, and with thousands of idle functions it is half of the work.
  const megabits = LINKLESS.has(operstate ?? "")
    ? NaN
    : Number(await readTextIfThere(join(roots.sysRoot, "class/net", name, "speed")));
  return defined({
    name,
    receive,
    transmit,
    up: operstate === undefined || operstate === "unknown" ? undefined : operstate === "up",
    // -1: unknown.
    speedBytesPerSecond: megabits > 0 ? (megabits * 1e6) / 8 : undefined,
  });
}

function traffic(columns: readonly (number | undefined)[]): NetworkTraffic | undefined {
  const [bytes, packets, errors, drops] = columns;
  if (bytes === undefined || packets === undefined || errors === undefined || drops === undefined)
    return undefined;
  return { bytes, packets, errors, drops };
}
