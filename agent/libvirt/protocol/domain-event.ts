import { event, procedure } from "../rpc/procedure.ts";
import { array, hyper, int, optional, string, struct, typedParameters, uhyper, uint } from "../rpc/xdr.ts";
import { domain } from "./objects.ts";

export const connectDomainEventCallbackRegisterAny = procedure(
  "CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY",
  316,
  { eventId: int, dom: optional(domain) },
  { callbackId: int },
);
export const connectDomainEventCallbackDeregisterAny = procedure(
  "CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY",
  317,
  { callbackId: int },
  {},
);
const graphicsAddress = struct({ family: int, node: string(), service: string() });
const graphicsIdentity = struct({ type: string(), name: string() });

export const domainEventLifecycle = event("DOMAIN_EVENT_CALLBACK_LIFECYCLE", 318, {
  callbackId: int,
  dom: domain,
  event: int,
  detail: int,
});
export const domainEventReboot = event("DOMAIN_EVENT_CALLBACK_REBOOT", 319, { callbackId: int, dom: domain });
export const domainEventRtcChange = event("DOMAIN_EVENT_CALLBACK_RTC_CHANGE", 320, {
  callbackId: int,
  dom: domain,
  offset: hyper,
});
export const domainEventWatchdog = event("DOMAIN_EVENT_CALLBACK_WATCHDOG", 321, {
  callbackId: int,
  dom: domain,
  action: int,
});
export const domainEventIoError = event("DOMAIN_EVENT_CALLBACK_IO_ERROR", 322, {
  callbackId: int,
  dom: domain,
  srcPath: string(),
  devAlias: string(),
  action: int,
});
export const domainEventGraphics = event("DOMAIN_EVENT_CALLBACK_GRAPHICS", 323, {
  callbackId: int,
  dom: domain,
  phase: int,
  local: graphicsAddress,
  remote: graphicsAddress,
  authScheme: string(),
  subject: array(graphicsIdentity, 20),
});
export const domainEventIoErrorReason = event("DOMAIN_EVENT_CALLBACK_IO_ERROR_REASON", 324, {
  callbackId: int,
  dom: domain,
  srcPath: string(),
  devAlias: string(),
  action: int,
  reason: string(),
});
export const domainEventControlError = event("DOMAIN_EVENT_CALLBACK_CONTROL_ERROR", 325, {
  callbackId: int,
  dom: domain,
});
export const domainEventBlockJob = event("DOMAIN_EVENT_CALLBACK_BLOCK_JOB", 326, {
  callbackId: int,
  dom: domain,
  path: string(),
  type: int,
  status: int,
});
export const domainEventDiskChange = event("DOMAIN_EVENT_CALLBACK_DISK_CHANGE", 327, {
  callbackId: int,
  dom: domain,
  oldSrcPath: optional(string()),
  newSrcPath: optional(string()),
  devAlias: string(),
  reason: int,
});
export const domainEventTrayChange = event("DOMAIN_EVENT_CALLBACK_TRAY_CHANGE", 328, {
  callbackId: int,
  dom: domain,
  devAlias: string(),
  reason: int,
});
export const domainEventPmwakeup = event("DOMAIN_EVENT_CALLBACK_PMWAKEUP", 329, {
  callbackId: int,
  reason: int,
  dom: domain,
});
export const domainEventPmsuspend = event("DOMAIN_EVENT_CALLBACK_PMSUSPEND", 330, {
  callbackId: int,
  reason: int,
  dom: domain,
});
export const domainEventBalloonChange = event("DOMAIN_EVENT_CALLBACK_BALLOON_CHANGE", 331, {
  callbackId: int,
  dom: domain,
  actual: uhyper,
});
export const domainEventPmsuspendDisk = event("DOMAIN_EVENT_CALLBACK_PMSUSPEND_DISK", 332, {
  callbackId: int,
  reason: int,
  dom: domain,
});
export const domainEventDeviceRemoved = event("DOMAIN_EVENT_CALLBACK_DEVICE_REMOVED", 333, {
  callbackId: int,
  dom: domain,
  devAlias: string(),
});
export const domainEventBlockJob2 = event("DOMAIN_EVENT_BLOCK_JOB_2", 339, {
  callbackId: int,
  dom: domain,
  dst: string(),
  type: int,
  status: int,
});
export const domainEventTunable = event("DOMAIN_EVENT_CALLBACK_TUNABLE", 346, {
  callbackId: int,
  dom: domain,
  params: typedParameters(2048),
});
export const domainEventAgentLifecycle = event("DOMAIN_EVENT_CALLBACK_AGENT_LIFECYCLE", 348, {
  callbackId: int,
  dom: domain,
  state: int,
  reason: int,
});
export const domainEventDeviceAdded = event("DOMAIN_EVENT_CALLBACK_DEVICE_ADDED", 354, {
  callbackId: int,
  dom: domain,
  devAlias: string(),
});
export const domainEventMigrationIteration = event("DOMAIN_EVENT_CALLBACK_MIGRATION_ITERATION", 359, {
  callbackId: int,
  dom: domain,
  iteration: int,
});
export const domainEventJobCompleted = event("DOMAIN_EVENT_CALLBACK_JOB_COMPLETED", 363, {
  callbackId: int,
  dom: domain,
  params: typedParameters(64),
});
export const domainEventDeviceRemovalFailed = event("DOMAIN_EVENT_CALLBACK_DEVICE_REMOVAL_FAILED", 367, {
  callbackId: int,
  dom: domain,
  devAlias: string(),
});
export const domainEventMetadataChange = event("DOMAIN_EVENT_CALLBACK_METADATA_CHANGE", 379, {
  callbackId: int,
  dom: domain,
  type: int,
  nsuri: optional(string()),
});
export const domainEventBlockThreshold = event("DOMAIN_EVENT_BLOCK_THRESHOLD", 385, {
  callbackId: int,
  dom: domain,
  dev: string(),
  path: optional(string()),
  threshold: uhyper,
  excess: uhyper,
});
export const domainEventMemoryFailure = event("DOMAIN_EVENT_MEMORY_FAILURE", 423, {
  callbackId: int,
  dom: domain,
  recipient: int,
  action: int,
  flags: uint,
});
export const domainEventMemoryDeviceSizeChange = event("DOMAIN_EVENT_MEMORY_DEVICE_SIZE_CHANGE", 438, {
  callbackId: int,
  dom: domain,
  alias: string(),
  size: uhyper,
});
export const domainEventNicMacChange = event("DOMAIN_EVENT_NIC_MAC_CHANGE", 453, {
  callbackId: int,
  dom: domain,
  alias: string(),
  oldMac: string(),
  newMac: string(),
});

/**
 * What a domain can tell. Each is registered for with its `eventId`, for one domain or (`dom` null) for all; messages
 * carry the `callbackId` that the registration gave.
 */
export const domainEvents = {
  lifecycle: { eventId: 0, event: domainEventLifecycle },
  reboot: { eventId: 1, event: domainEventReboot },
  rtcChange: { eventId: 2, event: domainEventRtcChange },
  watchdog: { eventId: 3, event: domainEventWatchdog },
  ioError: { eventId: 4, event: domainEventIoError },
  graphics: { eventId: 5, event: domainEventGraphics },
  ioErrorReason: { eventId: 6, event: domainEventIoErrorReason },
  controlError: { eventId: 7, event: domainEventControlError },
  blockJob: { eventId: 8, event: domainEventBlockJob },
  diskChange: { eventId: 9, event: domainEventDiskChange },
  trayChange: { eventId: 10, event: domainEventTrayChange },
  pmwakeup: { eventId: 11, event: domainEventPmwakeup },
  pmsuspend: { eventId: 12, event: domainEventPmsuspend },
  balloonChange: { eventId: 13, event: domainEventBalloonChange },
  pmsuspendDisk: { eventId: 14, event: domainEventPmsuspendDisk },
  deviceRemoved: { eventId: 15, event: domainEventDeviceRemoved },
  blockJob2: { eventId: 16, event: domainEventBlockJob2 },
  tunable: { eventId: 17, event: domainEventTunable },
  agentLifecycle: { eventId: 18, event: domainEventAgentLifecycle },
  deviceAdded: { eventId: 19, event: domainEventDeviceAdded },
  migrationIteration: { eventId: 20, event: domainEventMigrationIteration },
  jobCompleted: { eventId: 21, event: domainEventJobCompleted },
  deviceRemovalFailed: { eventId: 22, event: domainEventDeviceRemovalFailed },
  metadataChange: { eventId: 23, event: domainEventMetadataChange },
  blockThreshold: { eventId: 24, event: domainEventBlockThreshold },
  memoryFailure: { eventId: 25, event: domainEventMemoryFailure },
  memoryDeviceSizeChange: { eventId: 26, event: domainEventMemoryDeviceSizeChange },
  nicMacChange: { eventId: 27, event: domainEventNicMacChange },
} as const;
