import { join } from "node:path";
import { parseWhole, readText, readTextIfThere, reading, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";
import { defined } from "../../kernel/defined.ts";

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

export function networkStackReader(roots: Roots): () => Promise<Reading<NetworkStack>> {
  const path = join(roots.procRoot, "net/softnet_stat");
  const proc = (file: string): Promise<string | undefined> => readTextIfThere(join(roots.procRoot, file));
  const softnetByCpu = new Map<string, NetworkStack["softnet"]>();
  const read = async (): Promise<NetworkStack> => {
    // One that goes offline is told no more: what it counted stays counted.
    for (const [cpu, counts] of parseSoftnet(await readText(path))) softnetByCpu.set(cpu, counts);
    const sum = (count: "dropped" | "squeezed"): number =>
      [...softnetByCpu.values()].reduce((total, counts) => total + counts[count], 0);
    const sockets = await proc("net/sockstat");
    const sockets6 = await proc("net/sockstat6");
    const entries = await proc("sys/net/netfilter/nf_conntrack_count");
    const limit = await proc("sys/net/netfilter/nf_conntrack_max");
    return defined({
      softnet: { dropped: sum("dropped"), squeezed: sum("squeezed") },
      tcp: sockets === undefined ? undefined : parseTcp(sockets, sockets6),
      ...(entries === undefined || limit === undefined
        ? {}
        : {
            conntrack: {
              entries: parseWhole(entries, "nf_conntrack_count"),
              limit: parseWhole(limit, "nf_conntrack_max"),
            },
          }),
    });
  };
  return () => reading(path, read);
}

/**
 * A line per CPU that is online, in hexadecimal: processed, dropped, squeezed, ...; the 13th column is the CPU, since Linux
 * 5.10 (net/core/net-procfs.c). Without it the line's number has to do.
 */
function parseSoftnet(text: string): [cpu: string, counts: NetworkStack["softnet"]][] {
  return text.split("\n").map((line, number) => {
    const columns = line.trim().split(" ");
    const [, dropped = "", squeezed = ""] = columns;
    if (columns.length < 3 || !columns.every((column) => /^[0-9a-f]{8}$/.test(column)))
      throw new Error(`softnet_stat is not understood: ${JSON.stringify(line.slice(0, 40))}`);
    const counts = { dropped: Number.parseInt(dropped, 16), squeezed: Number.parseInt(squeezed, 16) };
    return [columns[12] ?? `line ${number}`, counts];
  });
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
