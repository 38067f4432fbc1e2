import type { EventKind, HostEvent } from "../../state/events/event.ts";
import type { VmState } from "../../vm/model/vm.ts";
import type { Event } from "../../gen/socle/v1/Event.ts";
import { enumWords } from "./enum.ts";
import { toTimestamp } from "./time.ts";
import { vmStates } from "./vm.ts";
import { defined } from "../../kernel/defined.ts";

export const eventKinds = enumWords("EVENT_KIND_UNSPECIFIED", {
  vm_defined: "EVENT_KIND_VM_DEFINED",
  vm_removed: "EVENT_KIND_VM_REMOVED",
  vm_state_changed: "EVENT_KIND_VM_STATE_CHANGED",
  vm_rebooted: "EVENT_KIND_VM_REBOOTED",
  vm_panicked: "EVENT_KIND_VM_PANICKED",
  vm_io_error: "EVENT_KIND_VM_IO_ERROR",
  vm_watchdog: "EVENT_KIND_VM_WATCHDOG",
  vm_guest_agent: "EVENT_KIND_VM_GUEST_AGENT",
  vm_memory_failure: "EVENT_KIND_VM_MEMORY_FAILURE",
  vm_device_removed: "EVENT_KIND_VM_DEVICE_REMOVED",
  vm_unresponsive: "EVENT_KIND_VM_UNRESPONSIVE",
  vm_responsive: "EVENT_KIND_VM_RESPONSIVE",
  vm_events_dropped: "EVENT_KIND_VM_EVENTS_DROPPED",
  resync: "EVENT_KIND_RESYNC",
  libvirt_connected: "EVENT_KIND_LIBVIRT_CONNECTED",
  libvirt_disconnected: "EVENT_KIND_LIBVIRT_DISCONNECTED",
  condition_changed: "EVENT_KIND_CONDITION_CHANGED",
  operation_ended: "EVENT_KIND_OPERATION_ENDED",
  break_glass: "EVENT_KIND_BREAK_GLASS",
  scheduling_changed: "EVENT_KIND_SCHEDULING_CHANGED",
});

export function eventToProto(event: HostEvent): Event {
  const { vmState } = event;
  return defined({
    sequence: event.sequence,
    agentEpoch: event.agentEpoch,
    time: toTimestamp(event.timeMs),
    kind: eventKinds.toProto(event.kind satisfies EventKind),
    vmId: event.vmId ?? "",
    vmName: event.vmName ?? "",
    // The event log keeps the state as text, of the VM's own words.
    vmState: vmState === undefined ? undefined : vmStates.toProto(vmState as VmState),
    reason: event.reason ?? "",
    details: event.details ?? {},
  });
}
