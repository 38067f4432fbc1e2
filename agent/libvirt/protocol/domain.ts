/** Finding, defining, running and ending a domain. */
import { procedure } from "../rpc/procedure.ts";
import { array, bool, int, optional, string, uhyper, uint, uuid } from "../rpc/xdr.ts";
import { domain } from "./objects.ts";

const read = { idempotent: true } as const;

export const domainLookupById = procedure("DOMAIN_LOOKUP_BY_ID", 22, { id: int }, { dom: domain }, read);
export const domainLookupByName = procedure(
  "DOMAIN_LOOKUP_BY_NAME",
  23,
  { name: string() },
  { dom: domain },
  read,
);
export const domainLookupByUuid = procedure("DOMAIN_LOOKUP_BY_UUID", 24, { uuid }, { dom: domain }, read);

export const domainDefineXmlFlags = procedure(
  "DOMAIN_DEFINE_XML_FLAGS",
  350,
  { xml: string(), flags: uint },
  { dom: domain },
);
/** Flags of `DomainUndefineFlag`. */
export const domainUndefineFlags = procedure("DOMAIN_UNDEFINE_FLAGS", 231, { dom: domain, flags: uint }, {});
export const domainRename = procedure(
  "DOMAIN_RENAME",
  358,
  { dom: domain, newName: optional(string()), flags: uint },
  { retcode: int },
);
/** A transient domain: it is gone once it stops. */
export const domainCreateXml = procedure(
  "DOMAIN_CREATE_XML",
  10,
  { xmlDesc: string(), flags: uint },
  { dom: domain },
);
/** Starts it. Flags of `DomainCreateFlag`. The reply carries the id it runs under. */
export const domainCreateWithFlags = procedure(
  "DOMAIN_CREATE_WITH_FLAGS",
  196,
  { dom: domain, flags: uint },
  { dom: domain },
);

export const domainGetXmlDesc = procedure(
  "DOMAIN_GET_XML_DESC",
  14,
  { dom: domain, flags: uint },
  { xml: string() },
  read,
);
/** `DomainState` and, by state, `DomainStateReason`. */
export const domainGetState = procedure(
  "DOMAIN_GET_STATE",
  212,
  { dom: domain, flags: uint },
  { state: int, reason: int },
  read,
);
/** Memory is KiB, CPU time nanoseconds. */
export const domainGetInfo = procedure(
  "DOMAIN_GET_INFO",
  16,
  { dom: domain },
  { state: uint, maxMem: uhyper, memory: uhyper, nrVirtCpu: uint, cpuTime: uhyper },
  read,
);
export const domainGetOsType = procedure("DOMAIN_GET_OS_TYPE", 19, { dom: domain }, { type: string() }, read);
export const domainIsActive = procedure("DOMAIN_IS_ACTIVE", 150, { dom: domain }, { active: bool }, read);
export const domainIsPersistent = procedure(
  "DOMAIN_IS_PERSISTENT",
  151,
  { dom: domain },
  { persistent: bool },
  read,
);
export const domainIsUpdated = procedure("DOMAIN_IS_UPDATED", 202, { dom: domain }, { updated: bool }, read);
export const domainGetAutostart = procedure(
  "DOMAIN_GET_AUTOSTART",
  15,
  { dom: domain },
  { autostart: bool },
  read,
);
export const domainSetAutostart = procedure("DOMAIN_SET_AUTOSTART", 29, { dom: domain, autostart: bool }, {});
/** What libvirt holds against it: tainting, deprecated configuration. */
export const domainGetMessages = procedure(
  "DOMAIN_GET_MESSAGES",
  426,
  { dom: domain, flags: uint },
  { msgs: array(string(), 2048) },
  read,
);

export const domainSuspend = procedure("DOMAIN_SUSPEND", 34, { dom: domain }, {});
export const domainResume = procedure("DOMAIN_RESUME", 28, { dom: domain }, {});
/** Asks the guest, by the ways of `DomainShutdownFlag`; it may ignore that. */
export const domainShutdownFlags = procedure("DOMAIN_SHUTDOWN_FLAGS", 258, { dom: domain, flags: uint }, {});
export const domainReboot = procedure("DOMAIN_REBOOT", 27, { dom: domain, flags: uint }, {});
export const domainReset = procedure("DOMAIN_RESET", 245, { dom: domain, flags: uint }, {});
export const domainDestroyFlags = procedure("DOMAIN_DESTROY_FLAGS", 234, { dom: domain, flags: uint }, {});
export const domainInjectNmi = procedure("DOMAIN_INJECT_NMI", 210, { dom: domain, flags: uint }, {});
export const domainSendKey = procedure(
  "DOMAIN_SEND_KEY",
  226,
  { dom: domain, codeset: uint, holdtime: uint, keycodes: array(uint, 16), flags: uint },
  {},
);
export const domainSetLifecycleAction = procedure(
  "DOMAIN_SET_LIFECYCLE_ACTION",
  390,
  { dom: domain, type: uint, action: uint, flags: uint },
  {},
);

// Its memory on disk
export const domainManagedSave = procedure("DOMAIN_MANAGED_SAVE", 182, { dom: domain, flags: uint }, {});
export const domainHasManagedSaveImage = procedure(
  "DOMAIN_HAS_MANAGED_SAVE_IMAGE",
  183,
  { dom: domain, flags: uint },
  { result: bool },
  read,
);
export const domainManagedSaveGetXmlDesc = procedure(
  "DOMAIN_MANAGED_SAVE_GET_XML_DESC",
  388,
  { dom: domain, flags: uint },
  { xml: string() },
  read,
);
export const domainManagedSaveRemove = procedure(
  "DOMAIN_MANAGED_SAVE_REMOVE",
  184,
  { dom: domain, flags: uint },
  {},
);
export const domainSaveFlags = procedure(
  "DOMAIN_SAVE_FLAGS",
  232,
  { dom: domain, to: string(), dxml: optional(string()), flags: uint },
  {},
);
export const domainRestoreFlags = procedure(
  "DOMAIN_RESTORE_FLAGS",
  233,
  { from: string(), dxml: optional(string()), flags: uint },
  {},
);
export const domainSaveImageGetXmlDesc = procedure(
  "DOMAIN_SAVE_IMAGE_GET_XML_DESC",
  235,
  { file: string(), flags: uint },
  { xml: string() },
  read,
);

/** `metadata` null removes it. For XML of one's own: type ELEMENT, `key` the prefix, `uri` the namespace. */
export const domainSetMetadata = procedure(
  "DOMAIN_SET_METADATA",
  264,
  {
    dom: domain,
    type: int,
    metadata: optional(string()),
    key: optional(string()),
    uri: optional(string()),
    flags: uint,
  },
  {},
);
export const domainGetMetadata = procedure(
  "DOMAIN_GET_METADATA",
  265,
  { dom: domain, type: int, uri: optional(string()), flags: uint },
  { metadata: string() },
  read,
);

// Streams
/** `devName` null is the first console. */
export const domainOpenConsole = procedure(
  "DOMAIN_OPEN_CONSOLE",
  201,
  { dom: domain, devName: optional(string()), flags: uint },
  {},
  { stream: "both" },
);
export const domainOpenChannel = procedure(
  "DOMAIN_OPEN_CHANNEL",
  296,
  { dom: domain, name: optional(string()), flags: uint },
  {},
  { stream: "both" },
);
