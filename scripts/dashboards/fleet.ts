import { bars, dashboard, graph, stat, table } from "./build.ts";

const free = (resource: string): string => `sum(socle_host_capacity_available{resource="${resource}"})`;

/** All hosts at a glance. */
export const fleet = dashboard(
  "fleet",
  "Fleet",
  [],
  [
    {
      title: "Now",
      panels: [
        stat("Hosts", "short", ['count(up{job="socle"})']),
        stat("Hosts without an agent", "short", ['count(up{job="socle"} == 0) or vector(0)'], {
          steps: [1, 2],
        }),
        stat(
          "Hosts that take no VMs (false) or may take none (unknown)",
          "short",
          ['sum by (status) (socle_host_schedulable{status!="true"})', "{{status}}"],
          { steps: [1, 3] },
        ),
        stat("VMs running", "short", ['sum(socle_vm_state{state="running"})']),
        stat("VMs that do not answer", "short", ["sum(socle_vm_unresponsive)"], { steps: [1, 2] }),
        stat("Running operations", "short", ["sum(socle_agent_operations_running)"]),
      ],
    },
    {
      title: "What is wrong",
      panels: [
        table("True conditions", "short", ['socle_host_health_condition{status="true"} == 1']),
        table("Alerts", "short", ['ALERTS{alertname=~"Socle.*",alertstate="firing"}']),
      ],
    },
    {
      title: "Use",
      panels: [
        bars("CPU used, by host", "percentunit", ["socle:host_cpu:used_ratio_rate5m", "{{instance}}"], {
          steps: [0.7, 0.9],
        }),
        bars("Memory used, by host", "percentunit", ["socle:host_memory:used_ratio", "{{instance}}"], {
          steps: [0.8, 0.95],
        }),
        graph("vCPUs and memory left to sell", "short", [
          [free("cpu"), "vCPUs"],
          [`${free("memory")} / 2^30`, "memory, GiB"],
        ]),
        graph("Operations ended", "ops", [
          ["sum by (kind, outcome) (rate(socle_operations_total[5m]))", "{{kind}} {{outcome}}"],
        ]),
      ],
    },
  ],
);
