import type { DomainEvent } from "../libvirt/index.ts";
import { stampNamespace } from "../libvirt/xml/index.ts";
import type { EventKind } from "../state/event.ts";
import type { VmState } from "./vm.ts";

/** What a lifecycle event says that the VM became. */
export const stateByEvent: Readonly<Record<string, VmState>> = {
  started: "running",
  resumed: "running",
  pmsuspended: "suspended",
  shutdown: "stopping",
  stopped: "stopped",
  crashed: "crashed",
};

/** The libvirt events other than lifecycle that are told on, by their kind. */
export const toldEvents: Readonly<Partial<Record<DomainEvent["kind"], EventKind>>> = {
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
  "tunable",
]);

/**
 * After it the VM is read again. Not after a stamp: no other agent stamps domains while this one holds the lease, and where
 * libvirt has none, what is not known here makes an interrupted operation give way to the other agent's.
 */
export const changesVm = (event: DomainEvent): boolean =>
  changing.has(event.kind) && !(event.kind === "metadata_change" && event.namespace === stampNamespace);
