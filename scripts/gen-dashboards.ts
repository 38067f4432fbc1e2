// Writes the Grafana dashboards into systemd/prometheus/dashboards/ from scripts/dashboards/. A unit test fails if the
// committed files differ.
//
//   node --import tsx scripts/gen-dashboards.ts
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { agent } from "./dashboards/agent.ts";
import { capacity } from "./dashboards/capacity.ts";
import { fleet } from "./dashboards/fleet.ts";
import { host } from "./dashboards/host.ts";
import { vm } from "./dashboards/vm.ts";

const directory = join(import.meta.dirname, "..", "systemd", "prometheus", "dashboards");

/** By file name. */
export function generatedDashboards(): Map<string, string> {
  const all = { fleet, host, capacity, vm, agent };
  return new Map(
    Object.entries(all).map(([name, dashboard]) => [
      `${name}.json`,
      `${JSON.stringify(dashboard, null, 2)}\n`,
    ]),
  );
}

if (process.argv[1] === import.meta.filename) {
  await mkdir(directory, { recursive: true });
  for (const [name, json] of generatedDashboards()) await writeFile(join(directory, name), json);
}
