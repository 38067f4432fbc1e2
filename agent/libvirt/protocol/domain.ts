// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
import { procedure } from "../rpc/procedure.ts";
import { array, bool, hyper, int, opaque, optionalText, text, uhyper, uint, uuid } from "../rpc/xdr.ts";
import { domain, domainCheckpoint, domainSnapshot, domainMemoryStat, domainInterface } from "./structs.ts";

export const domainDefineXml = /* @__PURE__ */ procedure(
  "DOMAIN_DEFINE_XML",
  11,
  { xml: text },
  { dom: domain },
  { since: "0.3.0" },
);
export const domainLookupById = /* @__PURE__ */ procedure(
  "DOMAIN_LOOKUP_BY_ID",
  22,
  { id: int },
  { dom: domain },
  { since: "0.3.0", onlyReads: true },
);
export const domainLookupByName = /* @__PURE__ */ procedure(
  "DOMAIN_LOOKUP_BY_NAME",
  23,
  { name: text },
  { dom: domain },
  { since: "0.3.0", onlyReads: true },
);
export const domainLookupByUuid = /* @__PURE__ */ procedure(
  "DOMAIN_LOOKUP_BY_UUID",
  24,
  { uuid },
  { dom: domain },
  { since: "0.3.0", onlyReads: true },
);
export const domainPinVcpu = /* @__PURE__ */ procedure(
  "DOMAIN_PIN_VCPU",
  26,
  { dom: domain, vcpu: uint, cpumap: /* @__PURE__ */ opaque(2048) },
  {},
  { since: "0.3.0" },
);
export const domainUndefine = /* @__PURE__ */ procedure(
  "DOMAIN_UNDEFINE",
  35,
  { dom: domain },
  {},
  { since: "0.3.0" },
);
export const domainCoreDump = /* @__PURE__ */ procedure(
  "DOMAIN_CORE_DUMP",
  53,
  { dom: domain, to: text, flags: uint },
  {},
  { since: "0.3.0" },
);
export const domainInterfaceStats = /* @__PURE__ */ procedure(
  "DOMAIN_INTERFACE_STATS",
  65,
  { dom: domain, device: text },
  {
    rxBytes: hyper,
    rxPackets: hyper,
    rxErrs: hyper,
    rxDrop: hyper,
    txBytes: hyper,
    txPackets: hyper,
    txErrs: hyper,
    txDrop: hyper,
  },
  { since: "0.3.2", onlyReads: true },
);
export const domainMemoryPeek = /* @__PURE__ */ procedure(
  "DOMAIN_MEMORY_PEEK",
  104,
  { dom: domain, offset: uhyper, size: uint, flags: uint },
  { buffer: /* @__PURE__ */ opaque(4194304) },
  { since: "0.4.2", onlyReads: true },
);
export const domainIsActive = /* @__PURE__ */ procedure(
  "DOMAIN_IS_ACTIVE",
  150,
  { dom: domain },
  { active: bool },
  { since: "0.7.3", onlyReads: true },
);
export const domainIsPersistent = /* @__PURE__ */ procedure(
  "DOMAIN_IS_PERSISTENT",
  151,
  { dom: domain },
  { persistent: bool },
  { since: "0.7.3", onlyReads: true },
);
export const domainMemoryStats = /* @__PURE__ */ procedure(
  "DOMAIN_MEMORY_STATS",
  159,
  { dom: domain, maxStats: uint, flags: uint },
  { stats: /* @__PURE__ */ array(domainMemoryStat, 1024) },
  { since: "0.7.5", onlyReads: true },
);
export const domainAbortJob = /* @__PURE__ */ procedure(
  "DOMAIN_ABORT_JOB",
  164,
  { dom: domain },
  {},
  { since: "0.7.7" },
);
export const domainHasManagedSaveImage = /* @__PURE__ */ procedure(
  "DOMAIN_HAS_MANAGED_SAVE_IMAGE",
  183,
  { dom: domain, flags: uint },
  { result: bool },
  { since: "0.8.0", onlyReads: true },
);
export const domainHasCurrentSnapshot = /* @__PURE__ */ procedure(
  "DOMAIN_HAS_CURRENT_SNAPSHOT",
  190,
  { dom: domain, flags: uint },
  { result: bool },
  { since: "0.8.0", onlyReads: true },
);
export const domainRevertToSnapshot = /* @__PURE__ */ procedure(
  "DOMAIN_REVERT_TO_SNAPSHOT",
  192,
  { snap: domainSnapshot, flags: uint },
  {},
  { since: "0.8.0" },
);
export const domainOpenConsole = /* @__PURE__ */ procedure(
  "DOMAIN_OPEN_CONSOLE",
  201,
  { dom: domain, devName: optionalText, flags: uint },
  {},
  { since: "0.8.6", stream: "both" },
);
export const domainIsUpdated = /* @__PURE__ */ procedure(
  "DOMAIN_IS_UPDATED",
  202,
  { dom: domain },
  { updated: bool },
  { since: "0.8.6", onlyReads: true },
);
export const domainInjectNmi = /* @__PURE__ */ procedure(
  "DOMAIN_INJECT_NMI",
  210,
  { dom: domain, flags: uint },
  {},
  { since: "0.9.2" },
);
export const domainScreenshot = /* @__PURE__ */ procedure(
  "DOMAIN_SCREENSHOT",
  211,
  { dom: domain, screen: uint, flags: uint },
  { mime: optionalText },
  { since: "0.9.2", onlyReads: true, stream: "read" },
);
export const domainPinVcpuFlags = /* @__PURE__ */ procedure(
  "DOMAIN_PIN_VCPU_FLAGS",
  225,
  { dom: domain, vcpu: uint, cpumap: /* @__PURE__ */ opaque(2048), flags: uint },
  {},
  { since: "0.9.3" },
);
export const domainSendKey = /* @__PURE__ */ procedure(
  "DOMAIN_SEND_KEY",
  226,
  { dom: domain, codeset: uint, holdtime: uint, keycodes: /* @__PURE__ */ array(uint, 16), flags: uint },
  {},
  { since: "0.9.3" },
);
export const domainUndefineFlags = /* @__PURE__ */ procedure(
  "DOMAIN_UNDEFINE_FLAGS",
  231,
  { dom: domain, flags: uint },
  {},
  { since: "0.9.4" },
);
export const domainOpenGraphics = /* @__PURE__ */ procedure(
  "DOMAIN_OPEN_GRAPHICS",
  249,
  { dom: domain, idx: uint, flags: uint },
  {},
  { since: "0.9.7" },
);
export const domainListAllSnapshots = /* @__PURE__ */ procedure(
  "DOMAIN_LIST_ALL_SNAPSHOTS",
  274,
  { dom: domain, needResults: bool, flags: uint },
  { snapshots: /* @__PURE__ */ array(domainSnapshot, 16384), ret: int },
  { since: "0.9.13", onlyReads: true },
);
export const domainPinEmulator = /* @__PURE__ */ procedure(
  "DOMAIN_PIN_EMULATOR",
  279,
  { dom: domain, cpumap: /* @__PURE__ */ opaque(2048), flags: uint },
  {},
  { since: "0.10.0" },
);
export const domainFstrim = /* @__PURE__ */ procedure(
  "DOMAIN_FSTRIM",
  294,
  { dom: domain, mountPoint: optionalText, minimum: uhyper, flags: uint },
  {},
  { since: "1.0.1" },
);
export const domainSendProcessSignal = /* @__PURE__ */ procedure(
  "DOMAIN_SEND_PROCESS_SIGNAL",
  295,
  { dom: domain, pidValue: hyper, signum: uint, flags: uint },
  {},
  { since: "1.0.1" },
);
export const domainOpenChannel = /* @__PURE__ */ procedure(
  "DOMAIN_OPEN_CHANNEL",
  296,
  { dom: domain, name: optionalText, flags: uint },
  {},
  { since: "1.0.2", stream: "both" },
);
export const domainCoreDumpWithFormat = /* @__PURE__ */ procedure(
  "DOMAIN_CORE_DUMP_WITH_FORMAT",
  334,
  { dom: domain, to: text, dumpformat: uint, flags: uint },
  {},
  { since: "1.2.3" },
);
export const domainFsfreeze = /* @__PURE__ */ procedure(
  "DOMAIN_FSFREEZE",
  335,
  { dom: domain, mountpoints: /* @__PURE__ */ array(text, 256), flags: uint },
  { filesystems: int },
  { since: "1.2.5" },
);
export const domainFsthaw = /* @__PURE__ */ procedure(
  "DOMAIN_FSTHAW",
  336,
  { dom: domain, mountpoints: /* @__PURE__ */ array(text, 256), flags: uint },
  { filesystems: int },
  { since: "1.2.5" },
);
export const domainOpenGraphicsFd = /* @__PURE__ */ procedure(
  "DOMAIN_OPEN_GRAPHICS_FD",
  343,
  { dom: domain, idx: uint, flags: uint },
  {},
  { since: "1.2.8" },
);
export const domainDefineXmlFlags = /* @__PURE__ */ procedure(
  "DOMAIN_DEFINE_XML_FLAGS",
  350,
  { xml: text, flags: uint },
  { dom: domain },
  { since: "1.2.12" },
);
export const domainPinIothread = /* @__PURE__ */ procedure(
  "DOMAIN_PIN_IOTHREAD",
  352,
  { dom: domain, iothreadsId: uint, cpumap: /* @__PURE__ */ opaque(2048), flags: uint },
  {},
  { since: "1.2.14" },
);
export const domainInterfaceAddresses = /* @__PURE__ */ procedure(
  "DOMAIN_INTERFACE_ADDRESSES",
  353,
  { dom: domain, source: uint, flags: uint },
  { ifaces: /* @__PURE__ */ array(domainInterface, 2048) },
  { since: "1.2.14", onlyReads: true },
);
export const domainAddIothread = /* @__PURE__ */ procedure(
  "DOMAIN_ADD_IOTHREAD",
  355,
  { dom: domain, iothreadId: uint, flags: uint },
  {},
  { since: "1.2.15" },
);
export const domainDelIothread = /* @__PURE__ */ procedure(
  "DOMAIN_DEL_IOTHREAD",
  356,
  { dom: domain, iothreadId: uint, flags: uint },
  {},
  { since: "1.2.15" },
);
export const domainRename = /* @__PURE__ */ procedure(
  "DOMAIN_RENAME",
  358,
  { dom: domain, newName: optionalText, flags: uint },
  { retcode: int },
  { since: "1.2.19" },
);
export const domainListAllCheckpoints = /* @__PURE__ */ procedure(
  "DOMAIN_LIST_ALL_CHECKPOINTS",
  413,
  { dom: domain, needResults: bool, flags: uint },
  { checkpoints: /* @__PURE__ */ array(domainCheckpoint, 16384), ret: int },
  { since: "5.6.0", onlyReads: true },
);
export const domainAgentSetResponseTimeout = /* @__PURE__ */ procedure(
  "DOMAIN_AGENT_SET_RESPONSE_TIMEOUT",
  420,
  { dom: domain, timeout: int, flags: uint },
  { result: int },
  { since: "5.10.0" },
);
export const domainBackupBegin = /* @__PURE__ */ procedure(
  "DOMAIN_BACKUP_BEGIN",
  421,
  { dom: domain, backupXml: text, checkpointXml: optionalText, flags: uint },
  {},
  { since: "6.0.0" },
);
export const domainBackupGetXmlDesc = /* @__PURE__ */ procedure(
  "DOMAIN_BACKUP_GET_XML_DESC",
  422,
  { dom: domain, flags: uint },
  { xml: text },
  { since: "6.0.0", onlyReads: true },
);
export const domainAuthorizedSshKeysGet = /* @__PURE__ */ procedure(
  "DOMAIN_AUTHORIZED_SSH_KEYS_GET",
  424,
  { dom: domain, user: text, flags: uint },
  { keys: /* @__PURE__ */ array(text, 2048) },
  { since: "6.10.0", onlyReads: true },
);
export const domainAuthorizedSshKeysSet = /* @__PURE__ */ procedure(
  "DOMAIN_AUTHORIZED_SSH_KEYS_SET",
  425,
  { dom: domain, user: text, keys: /* @__PURE__ */ array(text, 2048), flags: uint },
  {},
  { since: "6.10.0" },
);
export const domainStartDirtyRateCalc = /* @__PURE__ */ procedure(
  "DOMAIN_START_DIRTY_RATE_CALC",
  427,
  { dom: domain, seconds: int, flags: uint },
  {},
  { since: "7.2.0" },
);
export const domainAbortJobFlags = /* @__PURE__ */ procedure(
  "DOMAIN_ABORT_JOB_FLAGS",
  442,
  { dom: domain, flags: uint },
  {},
  { since: "8.5.0" },
);
export const domainFdAssociate = /* @__PURE__ */ procedure(
  "DOMAIN_FD_ASSOCIATE",
  443,
  { dom: domain, name: text, flags: uint },
  {},
  { since: "9.0.0" },
);
export const domainGraphicsReload = /* @__PURE__ */ procedure(
  "DOMAIN_GRAPHICS_RELOAD",
  448,
  { dom: domain, type: uint, flags: uint },
  {},
  { since: "10.2.0" },
);
export const domainDelThrottleGroup = /* @__PURE__ */ procedure(
  "DOMAIN_DEL_THROTTLE_GROUP",
  452,
  { dom: domain, group: optionalText, flags: uint },
  {},
  { since: "11.2.0" },
);
