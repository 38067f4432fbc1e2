// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
import { event } from "../rpc/procedure.ts";
import { array, hyper, int, optionalText, text, typedParameters, uhyper, uint } from "../rpc/xdr.ts";
import { domain, domainEventGraphicsAddress, domainEventGraphicsIdentity } from "./structs.ts";

export const domainEventLifecycle = /* @__PURE__ */ event(
  "DOMAIN_EVENT_LIFECYCLE",
  107,
  { dom: domain, event: int, detail: int },
  { since: "0.5.0" },
);
export const domainEventReboot = /* @__PURE__ */ event(
  "DOMAIN_EVENT_REBOOT",
  169,
  { dom: domain },
  { since: "0.8.0" },
);
export const domainEventRtcChange = /* @__PURE__ */ event(
  "DOMAIN_EVENT_RTC_CHANGE",
  170,
  { dom: domain, offset: hyper },
  { since: "0.8.0" },
);
export const domainEventWatchdog = /* @__PURE__ */ event(
  "DOMAIN_EVENT_WATCHDOG",
  171,
  { dom: domain, action: int },
  { since: "0.8.0" },
);
export const domainEventIoError = /* @__PURE__ */ event(
  "DOMAIN_EVENT_IO_ERROR",
  172,
  { dom: domain, srcPath: text, devAlias: text, action: int },
  { since: "0.8.0" },
);
export const domainEventGraphics = /* @__PURE__ */ event(
  "DOMAIN_EVENT_GRAPHICS",
  173,
  {
    dom: domain,
    phase: int,
    local: domainEventGraphicsAddress,
    remote: domainEventGraphicsAddress,
    authScheme: text,
    subject: /* @__PURE__ */ array(domainEventGraphicsIdentity, 20),
  },
  { since: "0.8.0" },
);
export const domainEventIoErrorReason = /* @__PURE__ */ event(
  "DOMAIN_EVENT_IO_ERROR_REASON",
  195,
  { dom: domain, srcPath: text, devAlias: text, action: int, reason: text },
  { since: "0.8.1" },
);
export const domainEventControlError = /* @__PURE__ */ event(
  "DOMAIN_EVENT_CONTROL_ERROR",
  224,
  { dom: domain },
  { since: "0.9.2" },
);
export const domainEventBlockJob = /* @__PURE__ */ event(
  "DOMAIN_EVENT_BLOCK_JOB",
  241,
  { dom: domain, path: text, type: int, status: int },
  { since: "0.9.4" },
);
export const domainEventDiskChange = /* @__PURE__ */ event(
  "DOMAIN_EVENT_DISK_CHANGE",
  248,
  { dom: domain, oldSrcPath: optionalText, newSrcPath: optionalText, devAlias: text, reason: int },
  { since: "0.9.7" },
);
export const domainEventTrayChange = /* @__PURE__ */ event(
  "DOMAIN_EVENT_TRAY_CHANGE",
  268,
  { dom: domain, devAlias: text, reason: int },
  { since: "0.9.11" },
);
export const domainEventPmwakeup = /* @__PURE__ */ event(
  "DOMAIN_EVENT_PMWAKEUP",
  269,
  { dom: domain },
  { since: "0.9.11" },
);
export const domainEventPmsuspend = /* @__PURE__ */ event(
  "DOMAIN_EVENT_PMSUSPEND",
  270,
  { dom: domain },
  { since: "0.9.11" },
);
export const domainEventBalloonChange = /* @__PURE__ */ event(
  "DOMAIN_EVENT_BALLOON_CHANGE",
  276,
  { dom: domain, actual: uhyper },
  { since: "0.9.13" },
);
export const domainEventPmsuspendDisk = /* @__PURE__ */ event(
  "DOMAIN_EVENT_PMSUSPEND_DISK",
  292,
  { dom: domain },
  { since: "0.10.2" },
);
export const domainEventDeviceRemoved = /* @__PURE__ */ event(
  "DOMAIN_EVENT_DEVICE_REMOVED",
  311,
  { dom: domain, devAlias: text },
  { since: "1.1.1" },
);
export const domainEventCallbackLifecycle = /* @__PURE__ */ event(
  "DOMAIN_EVENT_CALLBACK_LIFECYCLE",
  318,
  { callbackId: int, dom: domain, event: int, detail: int },
  { since: "1.2.1" },
);
export const domainEventCallbackReboot = /* @__PURE__ */ event(
  "DOMAIN_EVENT_CALLBACK_REBOOT",
  319,
  { callbackId: int, dom: domain },
  { since: "1.2.1" },
);
export const domainEventCallbackRtcChange = /* @__PURE__ */ event(
  "DOMAIN_EVENT_CALLBACK_RTC_CHANGE",
  320,
  { callbackId: int, dom: domain, offset: hyper },
  { since: "1.2.1" },
);
export const domainEventCallbackWatchdog = /* @__PURE__ */ event(
  "DOMAIN_EVENT_CALLBACK_WATCHDOG",
  321,
  { callbackId: int, dom: domain, action: int },
  { since: "1.2.1" },
);
export const domainEventCallbackIoError = /* @__PURE__ */ event(
  "DOMAIN_EVENT_CALLBACK_IO_ERROR",
  322,
  { callbackId: int, dom: domain, srcPath: text, devAlias: text, action: int },
  { since: "1.2.1" },
);
export const domainEventCallbackGraphics = /* @__PURE__ */ event(
  "DOMAIN_EVENT_CALLBACK_GRAPHICS",
  323,
  {
    callbackId: int,
    dom: domain,
    phase: int,
    local: domainEventGraphicsAddress,
    remote: domainEventGraphicsAddress,
    authScheme: text,
    subject: /* @__PURE__ */ array(domainEventGraphicsIdentity, 20),
  },
  { since: "1.2.1" },
);
export const domainEventCallbackIoErrorReason = /* @__PURE__ */ event(
  "DOMAIN_EVENT_CALLBACK_IO_ERROR_REASON",
  324,
  { callbackId: int, dom: domain, srcPath: text, devAlias: text, action: int, reason: text },
  { since: "1.2.1" },
);
export const domainEventCallbackControlError = /* @__PURE__ */ event(
  "DOMAIN_EVENT_CALLBACK_CONTROL_ERROR",
  325,
  { callbackId: int, dom: domain },
  { since: "1.2.1" },
);
export const domainEventCallbackBlockJob = /* @__PURE__ */ event(
  "DOMAIN_EVENT_CALLBACK_BLOCK_JOB",
  326,
  { callbackId: int, dom: domain, path: text, type: int, status: int },
  { since: "1.2.1" },
);
export const domainEventCallbackDiskChange = /* @__PURE__ */ event(
  "DOMAIN_EVENT_CALLBACK_DISK_CHANGE",
  327,
  {
    callbackId: int,
    dom: domain,
    oldSrcPath: optionalText,
    newSrcPath: optionalText,
    devAlias: text,
    reason: int,
  },
  { since: "1.2.1" },
);
export const domainEventCallbackTrayChange = /* @__PURE__ */ event(
  "DOMAIN_EVENT_CALLBACK_TRAY_CHANGE",
  328,
  { callbackId: int, dom: domain, devAlias: text, reason: int },
  { since: "1.2.1" },
);
export const domainEventCallbackPmwakeup = /* @__PURE__ */ event(
  "DOMAIN_EVENT_CALLBACK_PMWAKEUP",
  329,
  { callbackId: int, reason: int, dom: domain },
  { since: "1.2.1" },
);
export const domainEventCallbackPmsuspend = /* @__PURE__ */ event(
  "DOMAIN_EVENT_CALLBACK_PMSUSPEND",
  330,
  { callbackId: int, reason: int, dom: domain },
  { since: "1.2.1" },
);
export const domainEventCallbackBalloonChange = /* @__PURE__ */ event(
  "DOMAIN_EVENT_CALLBACK_BALLOON_CHANGE",
  331,
  { callbackId: int, dom: domain, actual: uhyper },
  { since: "1.2.1" },
);
export const domainEventCallbackPmsuspendDisk = /* @__PURE__ */ event(
  "DOMAIN_EVENT_CALLBACK_PMSUSPEND_DISK",
  332,
  { callbackId: int, reason: int, dom: domain },
  { since: "1.2.1" },
);
export const domainEventCallbackDeviceRemoved = /* @__PURE__ */ event(
  "DOMAIN_EVENT_CALLBACK_DEVICE_REMOVED",
  333,
  { callbackId: int, dom: domain, devAlias: text },
  { since: "1.2.1" },
);
export const domainEventBlockJob2 = /* @__PURE__ */ event(
  "DOMAIN_EVENT_BLOCK_JOB_2",
  339,
  { callbackId: int, dom: domain, dst: text, type: int, status: int },
  { since: "1.2.5" },
);
export const domainEventCallbackTunable = /* @__PURE__ */ event(
  "DOMAIN_EVENT_CALLBACK_TUNABLE",
  346,
  { callbackId: int, dom: domain, params: /* @__PURE__ */ typedParameters(2048) },
  { since: "1.2.8" },
);
export const domainEventCallbackAgentLifecycle = /* @__PURE__ */ event(
  "DOMAIN_EVENT_CALLBACK_AGENT_LIFECYCLE",
  348,
  { callbackId: int, dom: domain, state: int, reason: int },
  { since: "1.2.9" },
);
export const domainEventCallbackDeviceAdded = /* @__PURE__ */ event(
  "DOMAIN_EVENT_CALLBACK_DEVICE_ADDED",
  354,
  { callbackId: int, dom: domain, devAlias: text },
  { since: "1.2.14" },
);
export const domainEventCallbackMigrationIteration = /* @__PURE__ */ event(
  "DOMAIN_EVENT_CALLBACK_MIGRATION_ITERATION",
  359,
  { callbackId: int, dom: domain, iteration: int },
  { since: "1.2.19" },
);
export const domainEventCallbackJobCompleted = /* @__PURE__ */ event(
  "DOMAIN_EVENT_CALLBACK_JOB_COMPLETED",
  363,
  { callbackId: int, dom: domain, params: /* @__PURE__ */ typedParameters(64) },
  { since: "1.2.19" },
);
export const domainEventCallbackDeviceRemovalFailed = /* @__PURE__ */ event(
  "DOMAIN_EVENT_CALLBACK_DEVICE_REMOVAL_FAILED",
  367,
  { callbackId: int, dom: domain, devAlias: text },
  { since: "1.3.3" },
);
export const domainEventCallbackMetadataChange = /* @__PURE__ */ event(
  "DOMAIN_EVENT_CALLBACK_METADATA_CHANGE",
  379,
  { callbackId: int, dom: domain, type: int, nsuri: optionalText },
  { since: "3.0.0" },
);
export const domainEventBlockThreshold = /* @__PURE__ */ event(
  "DOMAIN_EVENT_BLOCK_THRESHOLD",
  385,
  { callbackId: int, dom: domain, dev: text, path: optionalText, threshold: uhyper, excess: uhyper },
  { since: "3.1.0" },
);
export const domainEventMemoryFailure = /* @__PURE__ */ event(
  "DOMAIN_EVENT_MEMORY_FAILURE",
  423,
  { callbackId: int, dom: domain, recipient: int, action: int, flags: uint },
  { since: "6.0.0" },
);
export const domainEventMemoryDeviceSizeChange = /* @__PURE__ */ event(
  "DOMAIN_EVENT_MEMORY_DEVICE_SIZE_CHANGE",
  438,
  { callbackId: int, dom: domain, alias: text, size: uhyper },
  { since: "7.8.0" },
);
export const domainEventNicMacChange = /* @__PURE__ */ event(
  "DOMAIN_EVENT_NIC_MAC_CHANGE",
  453,
  { callbackId: int, dom: domain, alias: text, oldMac: text, newMac: text },
  { since: "11.2.0" },
);
