import { dashboard, graph, stat, variable } from "./build.ts";

const it = 'instance=~"$instance",vm="$vm"';
const rate = (metric: string): string => `rate(${metric}{${it}}[5m])`;

/** One VM. */
export const vm = dashboard(
  "vm",
  "VM",
  [
    variable("instance", "label_values(socle_vm_info, instance)", true),
    variable("vm", 'label_values(socle_vm_info{instance=~"$instance"}, vm)'),
  ],
  [
    {
      title: "It",
      panels: [
        stat("Name", "short", [`socle_vm_info{${it}}`, "{{name}} ({{tenant}})"], { width: 8 }),
        stat("State", "short", [`socle_vm_state{${it}} == 1`, "{{state}}"]),
        stat("Does not answer", "short", [`socle_vm_unresponsive{${it}}`], { steps: [1, 1] }),
        stat("Age of its statistics", "s", [`socle_vm_stats_age_seconds{${it}}`], { steps: [30, 60] }),
        stat("Panics", "short", [`socle_vm_panics_total{${it}}`], { width: 2, steps: [1, 2] }),
        stat("I/O errors", "short", [`socle_vm_io_errors_total{${it}}`], { width: 2, steps: [1, 2] }),
      ],
    },
    {
      title: "CPU",
      panels: [
        graph("Cores used", "short", [
          [rate("socle_vm_cpu_seconds_total"), "all"],
          [rate("socle_vm_cpu_user_seconds_total"), "user"],
          [rate("socle_vm_cpu_system_seconds_total"), "system"],
        ]),
        graph("vCPUs: work, wait, steal", "percentunit", [
          [rate("socle_vm_vcpu_seconds_total"), "work {{vcpu}}"],
          [rate("socle_vm_vcpu_wait_seconds_total"), "wait {{vcpu}}"],
          [rate("socle_vm_vcpu_delay_seconds_total"), "steal {{vcpu}}"],
        ]),
      ],
    },
    {
      title: "Memory",
      panels: [
        graph("Seen from the host", "bytes", [
          [`socle_vm_memory_maximum_bytes{${it}}`, "maximum"],
          [`socle_vm_memory_balloon_bytes{${it}}`, "balloon"],
          [`socle_vm_memory_rss_bytes{${it}}`, "resident"],
        ]),
        graph("Reported by the guest", "bytes", [
          [`socle_vm_guest_memory_available_bytes{${it}}`, "has"],
          [`socle_vm_guest_memory_usable_bytes{${it}}`, "usable"],
          [`socle_vm_guest_memory_unused_bytes{${it}}`, "unused"],
          [`socle_vm_guest_memory_disk_caches_bytes{${it}}`, "disk caches"],
        ]),
        graph("Guest's swap and faults", "Bps", [
          [rate("socle_vm_guest_swap_in_bytes_total"), "swapped in"],
          [rate("socle_vm_guest_swap_out_bytes_total"), "swapped out"],
        ]),
        graph("Faults", "ops", [
          [rate("socle_vm_guest_major_faults_total"), "major"],
          [rate("socle_vm_guest_minor_faults_total"), "minor"],
        ]),
      ],
    },
    {
      title: "Disks",
      panels: [
        graph("Throughput", "Bps", [
          [rate("socle_vm_disk_read_bytes_total"), "read {{device}}"],
          [rate("socle_vm_disk_write_bytes_total"), "write {{device}}"],
        ]),
        graph("Requests", "ops", [
          [rate("socle_vm_disk_read_ops_total"), "read {{device}}"],
          [rate("socle_vm_disk_write_ops_total"), "write {{device}}"],
          [rate("socle_vm_disk_flush_ops_total"), "flush {{device}}"],
        ]),
        graph("Duration of a request", "s", [
          [
            `${rate("socle_vm_disk_read_seconds_total")} / ${rate("socle_vm_disk_read_ops_total")}`,
            "read {{device}}",
          ],
          [
            `${rate("socle_vm_disk_write_seconds_total")} / ${rate("socle_vm_disk_write_ops_total")}`,
            "write {{device}}",
          ],
        ]),
        graph("Size", "bytes", [
          [`socle_vm_disk_capacity_bytes{${it}}`, "as the guest sees it {{device}}"],
          [`socle_vm_disk_physical_bytes{${it}}`, "on the host {{device}}"],
        ]),
      ],
    },
    {
      title: "Network",
      panels: [
        graph("Throughput", "Bps", [
          [rate("socle_vm_network_receive_bytes_total"), "received {{device}}"],
          [rate("socle_vm_network_transmit_bytes_total"), "sent {{device}}"],
        ]),
        graph("Drops and errors", "ops", [
          [rate("socle_vm_network_receive_drops_total"), "received, dropped {{device}}"],
          [rate("socle_vm_network_transmit_drops_total"), "sent, dropped {{device}}"],
          [rate("socle_vm_network_receive_errors_total"), "receive errors {{device}}"],
          [rate("socle_vm_network_transmit_errors_total"), "transmit errors {{device}}"],
        ]),
      ],
    },
    {
      title: "Snapshots and backups",
      panels: [
        stat("Snapshots", "short", [`socle_vm_snapshots{${it}}`], { width: 4 }),
        stat("Longest chain of layers", "short", [`socle_vm_snapshot_chain_length{${it}}`], {
          width: 4,
          steps: [8, 16],
        }),
        stat("Open backup", "short", [`socle_backup_open{${it}}`], { width: 4 }),
        stat("Since the newest whole backup", "s", [
          `time() - socle_backup_last_complete_timestamp_seconds{${it}}`,
        ]),
      ],
    },
    {
      title: "Migration",
      panels: [
        graph("Progress", "bytes", [
          [`socle_vm_migration_processed_bytes{${it}}`, "sent"],
          [`socle_vm_migration_remaining_bytes{${it}}`, "to send"],
        ]),
      ],
    },
  ],
);
