// A separate process: reads the victim's VM repeatedly and measures each latency.
import { status } from "@grpc/grpc-js";
import { loadContract } from "../../agent/contract/load.ts";
import { protoDirectory } from "../support/socle-host.ts";
import { Caller, credentialsOf, secureOptions } from "./attack-calls.ts";
import { processorWaitMs } from "./processor-wait.ts";
import { TenantCaller } from "./tenants-stage.ts";
import type { Issued } from "../scheduler/authority.ts";

export interface VictimOptions {
  readonly address: string;
  readonly ca: string;
  readonly issued: Issued;
  readonly vmId: string;
  readonly agentPid: number;
}

export interface VictimFigures {
  readonly reads: number;
  readonly failures: readonly string[];
  readonly p99Ms: number;
}

const PAUSE_MS = 4;

export interface FiguresWanted {
  /** Replies after so many reads since the last figures. */
  readonly reads: number;
}

let wanted = Infinity;
let times: number[] = [];
let failures: string[] = [];

async function measure({ address, ca, issued, vmId, agentPid }: VictimOptions): Promise<never> {
  const contract = loadContract(protoDirectory);
  const by = credentialsOf(secureOptions(ca, issued));
  const caller = new TenantCaller("victim", new Caller(address, by, contract), issued);
  for (;;) {
    // The wait of the two processes for a processor is not the agent's fault.
    const hindered = processorWaitMs(agentPid, process.pid);
    const startMs = performance.now();
    const { code, reason, message } = await caller.ask(contract.vms.GetVm, { vm: vmId });
    const ms = performance.now() - startMs;
    times.push(ms - Math.min(ms, Math.max(0, processorWaitMs(agentPid, process.pid) - hindered)));
    if (code !== status.OK && failures.length < 10) failures.push(`${code} ${reason} ${message}`);
    if (times.length >= wanted) answer();
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

/** The figures since the last request, once there are so many reads. */
function figures(): VictimFigures {
  const sorted = times.sort((a, b) => a - b);
  const reported = {
    reads: sorted.length,
    failures,
    p99Ms: sorted[Math.max(0, Math.ceil(sorted.length * 0.99) - 1)] ?? 0,
  };
  times = [];
  failures = [];
  return reported;
}

function answer(): void {
  wanted = Infinity;
  process.send?.(figures());
}

if (process.send !== undefined) {
  process.on("message", (message: VictimOptions | FiguresWanted) => {
    if ("reads" in message) wanted = message.reads;
    else void measure(message);
  });
  process.on("disconnect", () => process.exit(0));
}
