import { join } from "node:path";
import { parseWhole, readText, readTextIfThere, reading, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";
import { defined } from "../../kernel/defined.ts";

/** Usage of the kernel's network tables in this network namespace; parts that this kernel lacks are absent. */
interface NetworkStack {
  /** Of all CPUs since boot: packets dropped at a full queue, and polls that ended with packets left. */
  readonly softnet: { readonly dropped: number; readonly squeezed: number };
  readonly tcp?: {
    readonly inUse: number;
    /** Sockets that no process has open. */
    readonly orphaned: number;
    readonly timeWait: number;
  };
  /** Absent without connection tracking. */
  readonly conntrack?: { readonly entries: number; readonly limit: number };
}

export function networkStackReader(roots: Roots): () => Promise<Reading<NetworkStack>> {
  const path = join(roots.procRoot, "net/softnet_stat");
  const proc = (file: string): Promise<string | undefined> => readTextIfThere(join(roots.procRoot, file));
  const softnetByCpu = new Map<string, NetworkStack["softnet"]>();
  const read = async (): Promise<NetworkStack> => {
    // The kernel omits offline CPUs: keep their counts.
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
      conntrack:
        entries === undefined || limit === undefined
          ? undefined
          : {
              entries: parseWhole(entries, "nf_conntrack_count"),
              limit: parseWhole(limit, "nf_conntrack_max"),
            },
    });
  };
  return () => reading(path, read);
}

/**
 * A line per online CPU, in hexadecimal: processed, dropped, squeezed, ...; the 13th column is the CPU, since Linux
 * 5.10 (net/core/net-procfs.c). Older kernels: the line number.
 */
const parseSoftnet = (text: string): [cpu: string, counts: NetworkStack["softnet"]][] =>
  text.split("\n").map((line, number) => {
    const columns = line.trim().split(" ");
    const [, dropped = "", squeezed = ""] = columns;
    if (columns.length < 3 || !columns.every((column) => /^[0-9a-f]{8}$/.test(column)))
      throw new Error(`cannot parse softnet_stat: ${JSON.stringify(line.slice(0, 40))}`);
    const counts = { dropped: Number.parseInt(dropped, 16), squeezed: Number.parseInt(squeezed, 16) };
    return [columns[12] ?? `line ${number}`, counts];
  });

/** The kernel counts IPv4 and IPv6 sockets separately, except orphaned ones. */
function parseTcp(text: string, text6 = ""): NonNullable<NetworkStack["tcp"]> {
  const [, inUse, orphaned, timeWait] = /^TCP: inuse (\d+) orphan (\d+) tw (\d+) /m.exec(text) ?? [];
  const inUse6 = /^TCP6: inuse (\d+)$/m.exec(text6)?.[1] ?? "0";
  return {
    inUse: parseWhole(inUse, "TCP inuse") + parseWhole(inUse6, "TCP6 inuse"),
    orphaned: parseWhole(orphaned, "TCP orphan"),
    timeWait: parseWhole(timeWait, "TCP tw"),
  };
}
