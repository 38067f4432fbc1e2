// A scheduler to try out: prints the hosts that report to it and their events, and can place a VM.
//
//   node --import tsx test/scheduler/main.ts [--port 7450] [--place spec.json [--once]]
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import type { VmSpec } from "../../agent/gen/socle/v1/VmSpec.ts";
import type { KnownHost } from "./host.ts";
import { NoRoom, Scheduler } from "./scheduler.ts";

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "7450" },
    /** A VmSpec in JSON, with the contract's names in camel case. */
    place: { type: "string" },
    /** End once the VM is placed. */
    once: { type: "boolean", default: false },
  },
});
const spec =
  values.place === undefined ? undefined : (JSON.parse(readFileSync(values.place, "utf8")) as VmSpec);
const startedMs = performance.now();
let toPlace = spec;

const scheduler = await Scheduler.start({
  port: Number(values.port),
  onChange: (host, what) => {
    report(host, what);
    if (what === "report" || what === "delta") void place();
  },
});
say(`scheduler on ${scheduler.address}, waiting for hosts`);
for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => end());

function report(host: KnownHost, what: string): void {
  const name = host.hello?.hostname ?? host.hostId;
  switch (what) {
    case "connected":
      say(`${name} connected: host ${host.hostId}, agent ${host.hello?.agentVersion ?? "?"}`);
      return;
    case "report":
    case "delta":
      say(`${name} ${what} (generation ${host.generation}): ${summary(host)}`);
      return;
    case "event": {
      const event = host.events.at(-1);
      const subject = event?.vmName === "" ? "" : ` ${event?.vmName ?? ""} ${event?.vmState ?? ""}`;
      say(`${name} event ${event?.sequence ?? 0}: ${event?.kind ?? ""}${subject} ${event?.reason ?? ""}`);
      return;
    }
    case "heartbeat":
      return;
    default:
      say(`${name} ${what}`);
  }
}

function summary(host: KnownHost): string {
  const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  const vms = [...host.vms.values()].map(({ name, state }) => `${name} ${state.slice("VM_STATE_".length)}`);
  return [
    `${host.available("cpu")} vCPUs and ${gib(host.available("memory"))} free`,
    inventoryOf(host),
    `health ${host.host?.health?.state.slice("EFFECT_".length) ?? "?"}`,
    vms.length === 0 ? "no VMs" : `VMs: ${vms.slice(0, 8).join(", ")}${vms.length > 8 ? ", ..." : ""}`,
  ].join("; ");
}

function inventoryOf({ host }: KnownHost): string {
  const { cells = [], storagePools = [], devices = [], compatibility } = host?.inventory ?? {};
  const shared = new Set(storagePools.map(({ name, sharedId }) => sharedId || name));
  const digest = compatibility?.digest.slice(0, 12) ?? "?";
  return `${cells.length} cells, ${shared.size} storages, ${devices.length} devices, guests of ${digest}`;
}

async function place(): Promise<void> {
  const wanted = toPlace;
  if (wanted === undefined) return;
  toPlace = undefined;
  try {
    const { host, operation } = await scheduler.place(wanted);
    say(`placed ${wanted.name ?? "a VM"} (${operation.vmId}) on ${host.hello?.hostname ?? host.hostId}`);
    if (values.once) end();
  } catch (thrown) {
    if (thrown instanceof NoRoom) {
      toPlace = wanted;
      return;
    }
    say(`not placed: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
    if (values.once) end(1);
  }
}

function say(line: string): void {
  console.log(`[${((performance.now() - startedMs) / 1000).toFixed(2).padStart(7)} s] ${line}`);
}

function end(exitCode = 0): void {
  scheduler.stop();
  process.exit(exitCode);
}
