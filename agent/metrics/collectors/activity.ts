import { collector, freshOfSeveral, ofReader } from "../collector.ts";
import { counter, gauge } from "../family.ts";

export const hostActivity = collector(
  "host_activity",
  {
    load: gauge(
      "socle_host_load_average",
      "Tasks that run, want to run or wait for a disk, on average over this many minutes.",
      ["minutes"],
    ),
    threads: gauge("socle_host_threads", "Threads of all processes."),
    running: gauge("socle_host_threads_running", "Threads that run or want to."),
    blocked: gauge("socle_host_threads_blocked", "Threads that wait for a disk."),
    contextSwitches: counter("socle_host_context_switches_total", "Times a CPU went to another thread."),
    interrupts: counter("socle_host_interrupts_total", "Interrupts, those of timers included."),
    forks: counter("socle_host_forks_total", "Processes and threads that were started."),
    openFiles: gauge("socle_host_files_open", "Open files of all processes."),
    maxOpenFiles: gauge("socle_host_files_open_limit", "Limit of open files."),
    majorFaults: counter("socle_host_major_faults_total", "Pages that had to be read from a disk."),
    swapIn: counter("socle_host_swap_in_bytes_total", "Read back from swap."),
    swapOut: counter("socle_host_swap_out_bytes_total", "Written to swap."),
    oomKills: counter("socle_host_oom_kills_total", "Processes killed for lack of memory."),
  },
  ({ readings }, emit) => {
    const { take, end } = freshOfSeveral(readings);
    const activity = take("activity")?.value;
    for (const minutes of [1, 5, 15] as const) emit.load(activity?.loadAverage[minutes], minutes);
    emit.threads(activity?.threads);
    emit.openFiles(activity?.openFiles);
    emit.maxOpenFiles(activity?.maxOpenFiles);
    emit.majorFaults(activity?.majorFaults);
    emit.swapIn(activity?.swapInBytes);
    emit.swapOut(activity?.swapOutBytes);
    emit.oomKills(activity?.oomKills);
    const cpu = take("cpu")?.value;
    emit.running(cpu?.running);
    emit.blocked(cpu?.blocked);
    emit.contextSwitches(cpu?.contextSwitches);
    emit.interrupts(cpu?.interrupts);
    emit.forks(cpu?.forks);
    return end();
  },
);

export const hostCpuFrequency = ofReader(
  "host_cpu_frequency",
  "cpuFrequency",
  {
    hertz: gauge("socle_host_cpu_frequency_hertz", "CPU frequencies: the lowest, the average, the highest.", [
      "kind",
    ]),
  },
  (frequency, emit) => {
    emit.hertz(frequency.lowestHertz, "lowest");
    emit.hertz(frequency.averageHertz, "average");
    emit.hertz(frequency.highestHertz, "highest");
  },
);

export const hostNetworkStack = ofReader(
  "host_network_stack",
  "networkStack",
  {
    dropped: counter(
      "socle_host_softnet_dropped_total",
      "Packets dropped because a CPU's queue of received ones was full.",
    ),
    squeezed: counter(
      "socle_host_softnet_squeezed_total",
      "Times a CPU left received packets for its next turn.",
    ),
    tcp: gauge("socle_host_tcp_sockets", "TCP sockets of the host, by state.", ["state"]),
    tracked: gauge("socle_host_conntrack_entries", "Connections that the firewall keeps track of."),
    limit: gauge(
      "socle_host_conntrack_entries_limit",
      "Limit of tracked connections; packets of further ones are dropped.",
    ),
  },
  (stack, emit) => {
    emit.dropped(stack.softnet.dropped);
    emit.squeezed(stack.softnet.squeezed);
    emit.tcp(stack.tcp?.inUse, "in_use");
    emit.tcp(stack.tcp?.orphaned, "orphaned");
    emit.tcp(stack.tcp?.timeWait, "time_wait");
    emit.tracked(stack.conntrack?.entries);
    emit.limit(stack.conntrack?.limit);
  },
);
