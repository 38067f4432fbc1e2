import { join } from "node:path";
import { parseWhole, readText, readTextIfThere, reading, type Reading } from "./reading.ts";
import type { Roots } from "./roots.ts";

/** How the kernel's network is filled, in this network namespace; a part that this kernel does not have is absent. */
export interface NetworkStack {
  /** Of all CPUs since boot: packets that found a CPU's queue full, and turns that ended with packets left. */
  readonly softnet: { readonly dropped: number; readonly squeezed: number };
  readonly tcp?: {
    readonly inUse: number;
    /** Without a process that has them open. */
    readonly orphaned: number;
    readonly timeWait: number;
  };
  /** Absent where nothing tracks connections. */
  readonly conntrack?: { readonly entries: number; readonly limit: number };
}

export function readNetworkStack(roots: Roots): Promise<Reading<NetworkStack>> {
  const path = join(roots.procRoot, "net/softnet_stat");
  const proc = (file: string): Promise<string | undefined> => readTextIfThere(join(roots.procRoot, file));
  return reading(path, async () => {
    const softnet = parseSoftnet(await readText(path));
    const sockets = await proc("net/sockstat");
    const sockets6 = await proc("net/sockstat6");
    const entries = await proc("sys/net/netfilter/nf_conntrack_count");
    const limit = await proc("sys/net/netfilter/nf_conntrack_max");
    return {
      softnet,
      ...(sockets === undefined ? {} : { tcp: parseTcp(sockets, sockets6) }),
      ...(entries === undefined || limit === undefined
        ? {}
        : {
            conntrack: {
              entries: parseWhole(entries, "nf_conntrack_count"),
              limit: parseWhole(limit, "nf_conntrack_max"),
            },
          }),
    };
  });
}

/** A line per CPU, in hexadecimal: processed, dropped, squeezed. */
function parseSoftnet(text: string): NetworkStack["softnet"] {
  const sum = { dropped: 0, squeezed: 0 };
  for (const line of text.split("\n")) {
    const [, dropped, squeezed] = /^[0-9a-f]{8} ([0-9a-f]{8}) ([0-9a-f]{8})\b/.exec(line) ?? [];
    if (dropped === undefined || squeezed === undefined)
      throw new Error(`softnet_stat is not understood: ${JSON.stringify(line.slice(0, 40))}`);
    sum.dropped += Number.parseInt(dropped, 16);
    sum.squeezed += Number.parseInt(squeezed, 16);
  }
  return sum;
}

/** Sockets of IPv4 and of IPv6 are counted apart but for those that no process has. */
function parseTcp(text: string, text6 = ""): NonNullable<NetworkStack["tcp"]> {
  const [, inUse, orphaned, timeWait] = /^TCP: inuse (\d+) orphan (\d+) tw (\d+) /m.exec(text) ?? [];
  const inUse6 = /^TCP6: inuse (\d+)$/m.exec(text6)?.[1] ?? "0";
  return {
    inUse: parseWhole(inUse, "TCP inuse") + parseWhole(inUse6, "TCP6 inuse"),
    orphaned: parseWhole(orphaned, "TCP orphan"),
    timeWait: parseWhole(timeWait, "TCP tw"),
  };
}
