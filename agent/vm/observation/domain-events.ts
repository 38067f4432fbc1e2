import type { DomainEvent } from "../../libvirt/index.ts";
import type { EventKind } from "../../state/events/event.ts";
import type { VmState } from "../model/vm.ts";
import { operationStamp } from "../model/vm-domain.ts";

/** The VM's state after a lifecycle event. */
export const stateByEvent: Readonly<Record<string, VmState>> = {
  started: "running",
  resumed: "running",
  pmsuspended: "suspended",
  shutdown: "stopping",
  stopped: "stopped",
  crashed: "crashed",
};

/** Event kinds published to subscribers, by libvirt's event kind. Lifecycle events are published as state changes. */
export const publishedEvents: Readonly<Partial<Record<DomainEvent["kind"], EventKind>>> = {
  reboot: "vm_rebooted",
  watchdog: "vm_watchdog",
  io_error: "vm_io_error",
  agent_lifecycle: "vm_guest_agent",
  memory_failure: "vm_memory_failure",
  device_removed: "vm_device_removed",
};

const changing: ReadonlySet<DomainEvent["kind"]> = new Set<DomainEvent["kind"]>([
  "lifecycle",
  "metadata_change",
  "device_added",
  "device_removed",
  "balloon_change",
  "memory_device_size_change",
  "tunable",
]);

/**
 * Whether the VM must be read again. A stamp needs no read: only the lease holder writes stamps. Without a lease, a missed
 * stamp of another agent can only make an interrupted operation end as superseded.
 */
export const changesVm = (event: DomainEvent): boolean =>
  changing.has(event.kind) && !(event.kind === "metadata_change" && event.namespace === operationStamp.uri);
