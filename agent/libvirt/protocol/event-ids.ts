// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
import {
  domainEventCallbackLifecycle,
  domainEventCallbackReboot,
  domainEventCallbackRtcChange,
  domainEventCallbackWatchdog,
  domainEventCallbackIoError,
  domainEventCallbackGraphics,
  domainEventCallbackIoErrorReason,
  domainEventCallbackControlError,
  domainEventCallbackBlockJob,
  domainEventCallbackDiskChange,
  domainEventCallbackTrayChange,
  domainEventCallbackPmwakeup,
  domainEventCallbackPmsuspend,
  domainEventCallbackBalloonChange,
  domainEventCallbackPmsuspendDisk,
  domainEventCallbackDeviceRemoved,
  domainEventBlockJob2,
  domainEventCallbackTunable,
  domainEventCallbackAgentLifecycle,
  domainEventCallbackDeviceAdded,
  domainEventCallbackMigrationIteration,
  domainEventCallbackJobCompleted,
  domainEventCallbackDeviceRemovalFailed,
  domainEventCallbackMetadataChange,
  domainEventBlockThreshold,
  domainEventMemoryFailure,
  domainEventMemoryDeviceSizeChange,
  domainEventNicMacChange,
} from "./domain-event.ts";
import { networkEventLifecycle, networkEventCallbackMetadataChange } from "./network.ts";
import { storagePoolEventLifecycle, storagePoolEventRefresh } from "./storage-pool.ts";
import { nodeDeviceEventLifecycle, nodeDeviceEventUpdate } from "./node-device.ts";
import { secretEventLifecycle, secretEventValueChanged } from "./secret.ts";

export const domainEvents = {
  lifecycle: { eventId: 0, event: domainEventCallbackLifecycle },
  reboot: { eventId: 1, event: domainEventCallbackReboot },
  rtcChange: { eventId: 2, event: domainEventCallbackRtcChange },
  watchdog: { eventId: 3, event: domainEventCallbackWatchdog },
  ioError: { eventId: 4, event: domainEventCallbackIoError },
  graphics: { eventId: 5, event: domainEventCallbackGraphics },
  ioErrorReason: { eventId: 6, event: domainEventCallbackIoErrorReason },
  controlError: { eventId: 7, event: domainEventCallbackControlError },
  blockJob: { eventId: 8, event: domainEventCallbackBlockJob },
  diskChange: { eventId: 9, event: domainEventCallbackDiskChange },
  trayChange: { eventId: 10, event: domainEventCallbackTrayChange },
  pmwakeup: { eventId: 11, event: domainEventCallbackPmwakeup },
  pmsuspend: { eventId: 12, event: domainEventCallbackPmsuspend },
  balloonChange: { eventId: 13, event: domainEventCallbackBalloonChange },
  pmsuspendDisk: { eventId: 14, event: domainEventCallbackPmsuspendDisk },
  deviceRemoved: { eventId: 15, event: domainEventCallbackDeviceRemoved },
  blockJob2: { eventId: 16, event: domainEventBlockJob2 },
  tunable: { eventId: 17, event: domainEventCallbackTunable },
  agentLifecycle: { eventId: 18, event: domainEventCallbackAgentLifecycle },
  deviceAdded: { eventId: 19, event: domainEventCallbackDeviceAdded },
  migrationIteration: { eventId: 20, event: domainEventCallbackMigrationIteration },
  jobCompleted: { eventId: 21, event: domainEventCallbackJobCompleted },
  deviceRemovalFailed: { eventId: 22, event: domainEventCallbackDeviceRemovalFailed },
  metadataChange: { eventId: 23, event: domainEventCallbackMetadataChange },
  blockThreshold: { eventId: 24, event: domainEventBlockThreshold },
  memoryFailure: { eventId: 25, event: domainEventMemoryFailure },
  memoryDeviceSizeChange: { eventId: 26, event: domainEventMemoryDeviceSizeChange },
  nicMacChange: { eventId: 27, event: domainEventNicMacChange },
} as const;
export const networkEvents = {
  lifecycle: { eventId: 0, event: networkEventLifecycle },
  metadataChange: { eventId: 1, event: networkEventCallbackMetadataChange },
} as const;
export const storagePoolEvents = {
  lifecycle: { eventId: 0, event: storagePoolEventLifecycle },
  refresh: { eventId: 1, event: storagePoolEventRefresh },
} as const;
export const nodeDeviceEvents = {
  lifecycle: { eventId: 0, event: nodeDeviceEventLifecycle },
  update: { eventId: 1, event: nodeDeviceEventUpdate },
} as const;
export const secretEvents = {
  lifecycle: { eventId: 0, event: secretEventLifecycle },
  valueChanged: { eventId: 1, event: secretEventValueChanged },
} as const;
