import { bars, dashboard, graph, stat, table, variable, type PanelPlan } from "./build.ts";

const at = 'instance=~"$instance"';

const parts = (resource: string, unit: "short" | "bytes"): PanelPlan =>
  graph(`${resource}: use`, unit, [
    [`sum(socle_host_capacity{${at},resource="${resource}"})`, "total"],
    [`sum(socle_host_capacity_reserved{${at},resource="${resource}"})`, "kept for the host"],
    [`sum(socle_host_capacity_unhealthy{${at},resource="${resource}"})`, "broken"],
    [`sum(socle_host_capacity_allocated{${at},resource="${resource}"})`, "taken by VMs"],
    [`sum(socle_host_capacity_claimed{${at},resource="${resource}"})`, "promised"],
    [`sum(socle_host_capacity_available{${at},resource="${resource}"})`, "available"],
  ]);

/** Free capacity, and its overcommitment. */
export const capacity = dashboard(
  "capacity",
  "Capacity",
  [variable("instance", "label_values(socle_host_capacity, instance)", true)],
  [
    {
      title: "Allocated",
      panels: [
        parts("cpu", "short"),
        parts("memory", "bytes"),
        bars(
          "Allocated share, by host and resource",
          "percentunit",
          [`socle:host_capacity:used_ratio{${at}}`, "{{instance}} {{resource}}"],
          { steps: [0.8, 0.95] },
        ),
        table("Overcommitted", "short", [`socle_host_capacity_available{${at}} < 0`]),
        stat(
          "Hosts with an incomplete inventory",
          "short",
          [`count(socle_host_inventory_complete{${at}} == 0) or vector(0)`],
          {
            steps: [1, 2],
            width: 8,
          },
        ),
        stat(
          "Hosts with unknown or outdated VMs",
          "short",
          [`count(socle_host_capacity_complete{${at}} == 0) or vector(0)`],
          {
            steps: [1, 2],
            width: 8,
          },
        ),
      ],
    },
    {
      title: "By NUMA cell",
      panels: [
        bars("Memory left", "bytes", [
          `socle_host_capacity_available{${at},resource="memory"}`,
          "{{instance}} cell {{cell}}",
        ]),
        bars("Huge pages free", "short", [
          `socle_host_hugepages{${at},state="free"}`,
          "{{instance}} cell {{cell}} {{size}}",
        ]),
      ],
    },
    {
      title: "Devices",
      panels: [
        graph("Devices for VMs: use", "short", [
          [
            `sum by (kind, alias, state) (socle_host_capacity_devices{${at}}) > 0`,
            "{{kind}} {{alias}} {{state}}",
          ],
        ]),
        bars("Free", "short", [
          `sum by (instance, kind, alias) (socle_host_capacity_devices{${at},state="free"})`,
          "{{instance}} {{kind}} {{alias}}",
        ]),
      ],
    },
    {
      title: "Storage",
      panels: [
        bars(
          "Pools: used",
          "percentunit",
          [
            `1 - socle_host_storage_pool_available_bytes{${at}} / socle_host_storage_pool_capacity_bytes{${at}}`,
            "{{instance}} {{pool}}",
          ],
          { steps: [0.8, 0.9] },
        ),
        graph("Pools: left", "bytes", [
          [`socle_host_storage_pool_available_bytes{${at}}`, "{{instance}} {{pool}}"],
        ]),
      ],
    },
  ],
);
