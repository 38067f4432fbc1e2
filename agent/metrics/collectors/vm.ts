import type { VmState } from "../../vm/model/vm.ts";
import { collector } from "../collector.ts";
import { counter, gauge } from "../family.ts";

const states: readonly VmState[] = [
  "running",
  "paused",
  "stopping",
  "stopped",
  "crashed",
  "suspended",
  "unknown",
];

export const vmInfo = collector(
  "vm_info",
  {
    info: gauge("socle_vm_info", "Identity of a VM; always 1.", [
      "vm",
      "name",
      "tenant",
      "managed",
      "accelerator",
    ]),
    state: gauge("socle_vm_state", "1 for the state the VM is in, 0 for the others.", ["vm", "state"]),
  },
  function* ({ vms }, emit) {
    for (const vm of vms.all()) {
      emit.info(1, vm.id, vm.name, vm.tenant, String(vm.managed), vm.accelerator ?? "");
      const now = vm.presence === "present" ? vm.state : "unknown";
      for (const state of states) emit.state(state === now ? 1 : 0, vm.id, state);
      yield;
    }
    return vms.observedAtMs;
  },
);

/** Each is exported as zero from the start: Prometheus does not see an increase from nothing to one. */
export const vmIncidents = collector(
  "vm_incidents",
  {
    panics: counter("socle_vm_panics_total", "Guest kernel panics, since the first observation.", ["vm"]),
    ioErrors: counter(
      "socle_vm_io_errors_total",
      "Errors of the host's storage on the guest's disks, since the first observation.",
      ["vm"],
    ),
    watchdogs: counter(
      "socle_vm_watchdog_expirations_total",
      "How often the guest's watchdog expired, since the first observation.",
      ["vm"],
    ),
  },
  function* ({ vms, incidents }, emit) {
    for (const { id, watchdog } of vms.all()) {
      const { panics, ioErrors } = incidents(id);
      emit.panics(panics, id);
      emit.ioErrors(ioErrors, id);
      emit.watchdogs(watchdog?.expirations ?? 0, id);
      yield;
    }
    return vms.observedAtMs;
  },
);

export const vmOwnStarts = collector(
  "vm_own_starts",
  {
    autostartFailures: counter(
      "socle_vm_autostart_failures_total",
      "VMs that did not start after the host's boot, since the agent's start.",
    ),
    restarts: counter(
      "socle_vm_crash_restarts_total",
      "Crashed VMs that the agent started again by their crash policy, since its start.",
    ),
    exhausted: counter(
      "socle_vm_crash_restarts_exhausted_total",
      "Crashes after which a VM stays off, since it crashed too often within an hour; since the agent's start.",
    ),
  },
  ({ ownStarts }, emit) => {
    const { autostartFailures, restarts, exhausted } = ownStarts();
    emit.autostartFailures(autostartFailures);
    emit.restarts(restarts);
    emit.exhausted(exhausted);
  },
);

export const vmObservation = collector(
  "vm_observation",
  {
    complete: gauge(
      "socle_vm_list_complete",
      "1 while the VM list is complete, 0 while libvirt does not answer.",
    ),
    observed: gauge("socle_vm_list_timestamp_seconds", "When libvirt last reported the VMs."),
    sampleOk: gauge("socle_vm_sample_success", "Whether the last sampling could read guests' statistics."),
    sampleDuration: gauge("socle_vm_sample_duration_seconds", "Duration of the last sampling."),
    sampled: gauge("socle_vm_sample_timestamp_seconds", "When the last sampling ended."),
    age: gauge("socle_vm_stats_age_seconds", "Age of the VM's statistics.", ["vm"]),
    unresponsive: gauge(
      "socle_vm_unresponsive",
      "1 while the guest's process does not answer libvirt; its other readings are then the last known ones, and omitted once too old.",
      ["vm"],
    ),
  },
  function* ({ vms, monotonicMs }, emit) {
    emit.complete(vms.complete ? 1 : 0);
    if (vms.observedAtMs > 0) emit.observed(vms.observedAtMs / 1000);
    if (vms.lastSample !== undefined) {
      emit.sampleOk(vms.lastSample.ok ? 1 : 0);
      emit.sampleDuration(vms.lastSample.durationMs / 1000);
      emit.sampled(vms.lastSample.atMs / 1000);
    }
    const now = monotonicMs();
    for (const { id, stats } of vms.all()) {
      if (stats === undefined) continue;
      emit.age(Math.max(0, now - stats.sampledAtMonotonicMs) / 1000, id);
      emit.unresponsive(stats.unresponsive ? 1 : 0, id);
      yield;
    }
    return vms.observedAtMs;
  },
);
