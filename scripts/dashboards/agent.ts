import { bars, dashboard, graph, stat, table, variable } from "./build.ts";

const at = 'instance="$instance"';
const rate = (metric: string): string => `rate(${metric}{${at}}[5m])`;
const quantile = (q: number, metric: string, by = "le"): string =>
  `histogram_quantile(${q}, sum by (${by}) (rate(${metric}_bucket{${at}}[5m])))`;

/** The agent itself. */
export const agent = dashboard(
  "agent",
  "Agent",
  [variable("instance", "label_values(socle_agent_info, instance)")],
  [
    {
      title: "Links",
      panels: [
        stat("Version", "short", [`socle_agent_info{${at}}`, "{{version}}, Node {{node}}"], { width: 8 }),
        stat("libvirt", "short", [`socle_libvirt_connected{${at}}`]),
        stat("Scheduler", "short", [`socle_scheduler_connected{${at}}`]),
        stat(
          "Time since the scheduler's last ack",
          "s",
          [`time() - socle_scheduler_ack_timestamp_seconds{${at}}`],
          {
            steps: [60, 300],
          },
        ),
        stat("Up for", "s", [`time() - socle_agent_start_timestamp_seconds{${at}}`]),
      ],
    },
    {
      title: "libvirt",
      panels: [
        graph("Calls", "ops", [[rate("socle_libvirt_calls_total"), "{{outcome}}"]]),
        graph("How long they took", "s", [
          [quantile(0.5, "socle_libvirt_call_duration_seconds"), "median"],
          [quantile(0.99, "socle_libvirt_call_duration_seconds"), "p99"],
        ]),
        graph("Pending calls", "short", [[`socle_libvirt_pending_calls{${at}}`, "pending"]]),
        graph("Sampling", "s", [
          [`socle_vm_sample_duration_seconds{${at}}`, "a round"],
          [`time() - socle_vm_sample_timestamp_seconds{${at}}`, "since the last one"],
        ]),
      ],
    },
    {
      title: "Operations",
      panels: [
        graph("Ended", "ops", [[rate("socle_operations_total"), "{{kind}} {{outcome}}"]]),
        graph("Duration of operations (p95)", "s", [
          [quantile(0.95, "socle_operation_duration_seconds", "kind, le"), "{{kind}}"],
        ]),
        graph("Under way and kept", "short", [
          [`socle_agent_operations_running{${at}}`, "under way"],
          [`socle_agent_operations_retained{${at}}`, "kept"],
        ]),
        graph("Published events and changes", "ops", [
          [`rate(socle_agent_event_sequence{${at}}[5m])`, "events"],
          [`rate(socle_agent_generation{${at}}[5m])`, "changes"],
        ]),
      ],
    },
    {
      title: "Copies of disks, images and memory",
      panels: [
        graph("Under way", "short", [[`socle_transfers_running{${at}}`, "{{kind}}"]]),
        graph("Speed", "Bps", [[`socle_transfer_bytes_per_second{${at}}`, "{{kind}}"]]),
        graph("Left", "bytes", [[`socle_transfer_remaining_bytes{${at}}`, "{{kind}}"]]),
        graph("Read from backups", "Bps", [[rate("socle_backup_read_bytes_total"), "read"]]),
      ],
    },
    {
      title: "Collectors",
      panels: [
        table("Without metrics", "short", [`socle_collector_success{${at}} == 0`]),
        bars("Duration", "s", [`topk(10, socle_collector_duration_seconds{${at}})`, "{{collector}}"]),
      ],
    },
    {
      title: "Process",
      panels: [
        graph("CPU", "percentunit", [[rate("process_cpu_seconds_total"), "cores"]]),
        graph("Memory", "bytes", [
          [`process_resident_memory_bytes{${at}}`, "resident"],
          [`nodejs_heap_size_used_bytes{${at}}`, "heap"],
        ]),
        graph("Event loop held up", "s", [
          [`socle_agent_event_loop_lag_p99_seconds{${at}}`, "p99"],
          [`socle_agent_event_loop_lag_max_seconds{${at}}`, "most"],
        ]),
        graph("Descriptors", "short", [[`process_open_fds{${at}}`, "open"]]),
      ],
    },
  ],
);
