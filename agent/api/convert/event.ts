import type { EventKind, HostEvent } from "../../state/events/event.ts";
import type { VmState } from "../../vm/model/vm.ts";
import type { Event } from "../../gen/socle/v1/Event.ts";
import { enumWords } from "../../contract/enum.ts";
import { toTimestamp } from "./time.ts";
import { vmStates } from "./vm.ts";
import { defined } from "../../kernel/defined.ts";

export const eventKinds = enumWords("EVENT_KIND", [
  "vm_defined",
  "vm_removed",
  "vm_state_changed",
  "vm_rebooted",
  "vm_panicked",
  "vm_io_error",
  "vm_watchdog",
  "vm_guest_agent",
  "vm_memory_failure",
  "vm_device_removed",
  "vm_unresponsive",
  "vm_responsive",
  "vm_events_dropped",
  "vm_autostart_failed",
  "vm_crash_restarted",
  "vm_crash_restarts_exhausted",
  "vm_backup_abandoned",
  "resync",
  "libvirt_connected",
  "libvirt_disconnected",
  "condition_changed",
  "operation_ended",
  "break_glass",
  "scheduling_changed",
  "image_collected",
]);

export function eventToProto(event: HostEvent): Event {
  const { vmState } = event;
  return defined({
    sequence: event.sequence,
    agentEpoch: event.agentEpoch,
    time: toTimestamp(event.timeMs),
    kind: eventKinds.toProto(event.kind satisfies EventKind),
    vmId: event.vmId ?? "",
    vmName: event.vmName ?? "",
    // The event log keeps the state as the VM's own text.
    vmState: vmState === undefined ? undefined : vmStates.toProto(vmState as VmState),
    reason: event.reason ?? "",
    details: event.details ?? {},
  });
}
