// GetVm over the unix socket by one client: sequential, and with 64 in flight
import { bench, type Run } from "./bench.ts";
import { compared, type Figures } from "./compared.ts";
import { startCrowd } from "./crowd.ts";
import { cpuMs } from "./processes.ts";
import { connectTo, startShippedAgent } from "./shipped-agent.ts";
import { quantile } from "./statistics.ts";

const IN_FLIGHT = 64;

await bench(
  "rpc",
  async (run) => {
    const measure = await stage(run, await run.bundle());
    return { figures: await measure(run.quick ? 0.02 : 1), bound: {} };
  },
  (run, against) =>
    compared(run, against, stage, {
      rounds: 6,
      share: 0.05,
      bounded: [
        "sequentialP50Ms",
        "sequentialAgentCpuMsPerCall",
        "inFlight64P50Ms",
        "inFlight64AgentCpuMsPerCall",
      ],
    }),
);

async function stage(run: Run, bundle: string): Promise<(share: number) => Promise<Figures>> {
  const { libvirtd, ids } = await startCrowd(run, 3);
  // The rate limit of one caller is not tested here.
  const api = { limits: { readsPerSecond: 1_000_000 } };
  const agent = await startShippedAgent(run, { api, libvirt: { uri: libvirtd.uri } }, { bundle });
  const client = await connectTo(run, agent);
  const [vm = ""] = ids;
  /** The latency of each call, in ms. */
  const callsInARow = async (count: number): Promise<number[]> => {
    const tookMs: number[] = [];
    for (let call = 0; call < count; call += 1) {
      const startMs = performance.now();
      const { vmId } = await client.ask(client.contract.vms.GetVm, { vm });
      tookMs.push(performance.now() - startMs);
      if (vmId !== vm) throw new Error(`asked for ${vm}, got ${vmId}`);
    }
    return tookMs;
  };
  const measured = async (rows: number, count: number): Promise<Figures> => {
    const cpuBeforeMs = await cpuMs(agent.pid);
    const startMs = performance.now();
    const tookMs = (await Promise.all(Array.from({ length: rows }, () => callsInARow(count)))).flat();
    const elapsedMs = performance.now() - startMs;
    return {
      P50Ms: quantile(tookMs, 0.5),
      P99Ms: quantile(tookMs, 0.99),
      CallsPerSecond: (tookMs.length / elapsedMs) * 1000,
      AgentCpuMsPerCall: ((await cpuMs(agent.pid)) - cpuBeforeMs) / tookMs.length,
    };
  };
  const named = (prefix: string, figures: Figures): [string, number][] =>
    Object.entries(figures).map(([name, value]) => [`${prefix}${name}`, value]);
  return async (share) => {
    await measured(IN_FLIGHT, 50 * share);
    const sequential = await measured(1, 5000 * share);
    const pipelined = await measured(IN_FLIGHT, 400 * share);
    return Object.fromEntries([...named("sequential", sequential), ...named("inFlight64", pipelined)]);
  };
}
