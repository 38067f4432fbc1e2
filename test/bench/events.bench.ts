// from libvirt's event to the message that a subscriber of the agent gets, against a call of GetVm
import type { Agent } from "../../agent/cli/client.ts";
import { domainResume, domainSuspend, type Libvirt } from "../../agent/libvirt/index.ts";
import { within } from "../support/wait.ts";
import { bench } from "./bench.ts";
import { startCrowd } from "./crowd.ts";
import { connectTo, startShippedAgent } from "./shipped-agent.ts";
import { quantile, timed } from "./statistics.ts";

type Became = "resumed" | "paused";

/** Arrival times of awaited events, on this process's clock. */
class Arrivals {
  readonly #waiting = new Map<string, (atMs: number) => void>();

  next(uuid: string, became: Became): Promise<number> {
    return new Promise((resolve) => {
      this.#waiting.set(`${uuid} ${became}`, resolve);
    });
  }

  arrived(uuid: string, became: Became): void {
    this.#waiting.get(`${uuid} ${became}`)?.(performance.now());
    this.#waiting.delete(`${uuid} ${became}`);
  }
}

await bench("events", async (run) => {
  const rounds = run.quick ? 5 : 400;
  // 40 events of each guest: the agent's budget of a VM's events is 60 in a burst.
  const { libvirtd, libvirt, ids } = await startCrowd(run, run.quick ? 2 : 20);
  const agent = await startShippedAgent(run, { libvirt: { uri: libvirtd.uri } });
  const client = await connectTo(run, agent);
  const end = new AbortController();
  run.cleanUp(() => end.abort());
  const seen = new Arrivals();
  const forwarded = new Arrivals();
  // They end with the run; a failure shows as an event that never arrives.
  void followLibvirt(libvirt, seen, end.signal).catch(() => undefined);
  void followAgent(client, forwarded).catch(() => undefined);

  const callMs: number[] = [];
  const lateMs = { resumed: [] as number[], paused: [] as number[] };
  for (let round = 0; round < rounds; round += 1) {
    const uuid = ids[round % ids.length] ?? "";
    for (const [became, procedure] of [
      ["resumed", domainResume],
      ["paused", domainSuspend],
    ] as const) {
      const both = Promise.all([seen.next(uuid, became), forwarded.next(uuid, became)]);
      await libvirt.call(procedure, { dom: { name: "", uuid, id: -1 } });
      const [seenMs, reportedMs] = await within(both, 60_000, `${uuid} to be reported as ${became}`);
      lateMs[became].push(reportedMs - seenMs);
      callMs.push(await timed(() => client.ask(client.contract.vms.GetVm, { vm: uuid })));
    }
  }
  const all = [...lateMs.resumed, ...lateMs.paused];
  return {
    figures: {
      events: all.length,
      p50Ms: quantile(all, 0.5),
      p99Ms: quantile(all, 0.99),
      worstMs: Math.max(...all),
      resumedP50Ms: quantile(lateMs.resumed, 0.5),
      // The event lacks the reason of a pause: the agent reads it from libvirt before it publishes the event.
      pausedP50Ms: quantile(lateMs.paused, 0.5),
      callP50Ms: quantile(callMs, 0.5),
      callP99Ms: quantile(callMs, 0.99),
      p50Ratio: quantile(all, 0.5) / quantile(callMs, 0.5),
      p99Ratio: quantile(all, 0.99) / quantile(callMs, 0.99),
    },
    bound: { p99Ratio: { atMost: 4 } },
  };
});

/** Events on a second connection to libvirt, besides the agent's. */
async function followLibvirt(libvirt: Libvirt, seen: Arrivals, signal: AbortSignal): Promise<void> {
  for await (const item of libvirt.events.subscribe(signal)) {
    if (item.kind !== "item" || item.value.kind !== "lifecycle") continue;
    const { event, domain } = item.value;
    if (event === "resumed") seen.arrived(domain.uuid, "resumed");
    if (event === "suspended") seen.arrived(domain.uuid, "paused");
  }
}

async function followAgent(client: Agent, forwarded: Arrivals): Promise<void> {
  for await (const event of client.watch(client.contract.events.Subscribe, { afterSequence: 0 })) {
    if (event.kind !== "EVENT_KIND_VM_STATE_CHANGED") continue;
    if (event.vmState === "VM_STATE_RUNNING") forwarded.arrived(event.vmId, "resumed");
    if (event.vmState === "VM_STATE_PAUSED") forwarded.arrived(event.vmId, "paused");
  }
}
