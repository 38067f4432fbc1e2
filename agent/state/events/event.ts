export type EventKind =
  | "vm_defined"
  | "vm_removed"
  | "vm_state_changed"
  | "vm_rebooted"
  | "vm_panicked"
  | "vm_io_error"
  | "vm_watchdog"
  | "vm_guest_agent"
  | "vm_memory_failure"
  | "vm_device_removed"
  | "vm_unresponsive"
  | "vm_responsive"
  | "vm_events_dropped"
  | "vm_autostart_failed"
  | "vm_crash_restarted"
  | "vm_crash_restarts_exhausted"
  | "vm_backup_abandoned"
  | "resync"
  | "libvirt_connected"
  | "libvirt_disconnected"
  | "condition_changed"
  | "operation_ended"
  | "break_glass"
  | "scheduling_changed"
  | "image_collected";

export type NewEvent = Omit<HostEvent, "sequence" | "agentEpoch" | "timeMs">;

/** A fact to publish. `sequence` has no gaps over the host's whole life. */
export interface HostEvent {
  readonly sequence: number;
  readonly agentEpoch: number;
  readonly timeMs: number;
  readonly kind: EventKind;
  readonly vmId?: string;
  readonly vmName?: string;
  readonly vmState?: string;
  readonly reason?: string;
  readonly details?: Readonly<Record<string, string>>;
}
