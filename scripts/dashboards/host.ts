import { bars, dashboard, graph, stat, table, variable } from "./build.ts";

const at = 'instance="$instance"';
const rate = (metric: string, more = ""): string => `rate(${metric}{${at}${more}}[5m])`;
const waiting = (resource: string): string => rate(`socle_host_pressure_${resource}_waiting_seconds_total`);
const stalled = (resource: string): string => rate(`socle_host_pressure_${resource}_stalled_seconds_total`);

/** One machine. */
export const host = dashboard(
  "host",
  "Host hardware",
  [variable("instance", "label_values(socle_host_info, instance)")],
  [
    {
      title: "It",
      panels: [
        stat(
          "What it is",
          "short",
          [`socle_host_info{${at}}`, "{{hostname}}: {{vendor}} {{model}}, {{os}}"],
          { width: 12 },
        ),
        stat("State", "short", [`socle_host_health_state{${at}} == 1`, "{{state}}"]),
        stat("Takes new VMs", "short", [`socle_host_schedulable{${at}} == 1`, "{{status}}"]),
        stat("Safe to fence", "short", [`socle_host_safe_to_fence{${at}} == 1`, "{{status}}"]),
        stat("Cordoned", "short", [`socle_host_cordoned{${at}}`], { steps: [1, 1] }),
        stat("Up for", "s", [`time() - socle_host_boot_timestamp_seconds{${at}}`]),
        table("True or unknown conditions", "short", [
          `socle_host_health_condition{${at},status=~"true|unknown"} == 1`,
        ]),
        table("Firmware", "short", [`socle_host_firmware_info{${at}}`]),
      ],
    },
    {
      title: "CPU and memory",
      panels: [
        graph("CPU", "percentunit", [
          [
            `sum by (mode) (${rate("socle_host_cpu_seconds_total", ',mode!="idle"')}) / on () group_left () sum(${rate("socle_host_cpu_seconds_total", ',mode!~"guest|guest_nice"')})`,
            "{{mode}}",
          ],
        ]),
        graph("Pressure", "percentunit", [
          [waiting("cpu"), "cpu, some"],
          [waiting("memory"), "memory, some"],
          [stalled("memory"), "memory, all"],
          [waiting("io"), "io, some"],
          [stalled("io"), "io, all"],
        ]),
        graph("Load", "short", [
          [`socle_host_load_average{${at}}`, "{{minutes}} min"],
          [`socle_host_threads_running{${at}}`, "running"],
          [`socle_host_threads_blocked{${at}}`, "waiting for a disk"],
        ]),
        graph("Switches and interrupts", "ops", [
          [rate("socle_host_context_switches_total"), "context switches"],
          [rate("socle_host_interrupts_total"), "interrupts"],
        ]),
        graph("Memory", "bytes", [
          [`socle_host_memory_bytes{${at},kind=~"total|available|anonymous|cached|hugetlb"}`, "{{kind}}"],
        ]),
        graph("Available memory, by cell", "bytes", [
          [`socle_host_numa_memory_bytes{${at},kind="free"}`, "cell {{cell}}"],
        ]),
        graph("Saved by KSM", "bytes", [[`socle_host_ksm_saved_bytes{${at}}`, "saved"]]),
        graph("Throttled", "ops", [[rate("socle_host_cpu_throttles_total"), "socket {{socket}} {{scope}}"]]),
      ],
    },
    {
      title: "Heat and power",
      panels: [
        graph("Temperatures", "celsius", [[`socle_host_temperature_celsius{${at}}`, "{{chip}} {{sensor}}"]]),
        graph("Fans", "rotrpm", [[`socle_host_fan_speed_rpm{${at}}`, "{{chip}} {{sensor}}"]]),
        graph("Current", "short", [[`socle_host_current_amperes{${at}}`, "{{chip}} {{sensor}}"]]),
        graph("Power", "watt", [
          [`socle_host_power_watts{${at}}`, "{{chip}} {{sensor}}"],
          [rate("socle_host_energy_joules_total"), "{{zone}}"],
        ]),
        table("Fans, power supplies and parts of the chassis that failed", "short", [
          `socle_host_chassis_fault{${at}} == 1 or socle_host_fan_state{${at},state="failed"} == 1 or socle_host_psu_state{${at},state=~"failing|failed"} == 1`,
        ]),
      ],
    },
    {
      title: "Errors",
      panels: [
        graph("Memory errors a day", "short", [
          [`increase(socle_host_memory_corrected_errors_total{${at}}[24h])`, "corrected {{dimm}}"],
          [`increase(socle_host_memory_uncorrected_errors_total{${at}}[24h])`, "uncorrected {{dimm}}"],
        ]),
        graph("PCI Express errors an hour", "short", [
          [`increase(socle_host_pcie_errors_total{${at}}[1h]) > 0`, "{{device}} {{severity}}"],
        ]),
        graph("Machine checks and kernel faults a day", "short", [
          [`increase(socle_host_machine_checks_total{${at}}[24h])`, "machine checks"],
          [`increase(socle_host_kernel_faults_total{${at}}[24h])`, "{{kind}}"],
        ]),
        graph("Management controller", "short", [
          [`socle_host_bmc_up{${at}}`, "answers"],
          [`increase(socle_host_bmc_sel_events_total{${at}}[1h])`, "events an hour, {{severity}}"],
        ]),
      ],
    },
    {
      title: "Disk I/O",
      panels: [
        graph("Operations", "ops", [
          [rate("socle_host_disk_read_ops_total"), "read {{device}}"],
          [rate("socle_host_disk_write_ops_total"), "write {{device}}"],
        ]),
        graph("Throughput", "Bps", [
          [rate("socle_host_disk_read_bytes_total"), "read {{device}}"],
          [rate("socle_host_disk_write_bytes_total"), "write {{device}}"],
        ]),
        graph("Utilisation", "percentunit", [[rate("socle_host_disk_io_seconds_total"), "{{device}}"]]),
        graph("Queue", "short", [[rate("socle_host_disk_io_weighted_seconds_total"), "{{device}}"]]),
        graph("Time of an operation", "s", [
          [
            `${rate("socle_host_disk_read_seconds_total")} / ${rate("socle_host_disk_read_ops_total")}`,
            "read {{device}}",
          ],
          [
            `${rate("socle_host_disk_write_seconds_total")} / ${rate("socle_host_disk_write_ops_total")}`,
            "write {{device}}",
          ],
        ]),
      ],
    },
    {
      title: "Disks",
      panels: [
        bars("Wear", "percentunit", [`socle_host_disk_wear_ratio{${at}}`, "{{device}}"], {
          steps: [0.8, 0.9],
        }),
        bars("Spare blocks left", "percentunit", [`socle_host_disk_spare_ratio{${at}}`, "{{device}}"]),
        table("Warnings", "short", [`socle_host_disk_critical_warning{${at}} == 1`]),
        table("Arrays", "short", [`socle_host_raid_state{${at}} == 1`]),
        graph("Bad sectors", "short", [[`socle_host_disk_bad_sectors{${at}}`, "{{device}} {{state}}"]]),
        graph("Bytes written over its lifetime", "bytes", [
          [`socle_host_disk_lifetime_written_bytes_total{${at}}`, "{{device}}"],
        ]),
        graph("Media errors a day", "short", [
          [`increase(socle_host_disk_media_errors_total{${at}}[24h])`, "{{device}}"],
        ]),
        bars(
          "Filesystems: used",
          "percentunit",
          [
            `1 - socle_host_filesystem_available_bytes{${at}} / socle_host_filesystem_size_bytes{${at}}`,
            "{{path}}",
          ],
          { steps: [0.8, 0.9] },
        ),
      ],
    },
    {
      title: "Network and clock",
      panels: [
        graph("Received", "Bps", [[rate("socle_host_nic_receive_bytes_total"), "{{device}}"]]),
        graph("Sent", "Bps", [[rate("socle_host_nic_transmit_bytes_total"), "{{device}}"]]),
        graph("Errors and drops", "ops", [
          [
            `${rate("socle_host_nic_receive_errors_total")} + ${rate("socle_host_nic_transmit_errors_total")}`,
            "errors {{device}}",
          ],
          [
            `${rate("socle_host_nic_receive_drops_total")} + ${rate("socle_host_nic_transmit_drops_total")}`,
            "drops {{device}}",
          ],
        ]),
        graph("Tracked connections", "short", [
          [`socle_host_conntrack_entries{${at}}`, "there"],
          [`socle_host_conntrack_entries_limit{${at}}`, "limit"],
        ]),
        graph("Bonds: links up", "short", [
          [`socle_host_bond_active_slaves{${at}}`, "up {{bond}}"],
          [`socle_host_bond_slaves{${at}}`, "there {{bond}}"],
        ]),
        graph("Clock", "s", [[`socle_host_clock_offset_seconds{${at}}`, "behind by"]]),
        table("Virtual functions", "short", [`socle_host_sriov_vfs{${at}}`]),
      ],
    },
  ],
);
