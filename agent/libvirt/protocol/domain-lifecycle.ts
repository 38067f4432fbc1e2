// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
import { procedure } from "../rpc/procedure.ts";
import { text, uhyper, uint } from "../rpc/xdr.ts";
import { domain } from "./structs.ts";

export const domainCreate = /* @__PURE__ */ procedure(
  "DOMAIN_CREATE",
  9,
  { dom: domain },
  {},
  { since: "0.3.0" },
);
export const domainCreateXml = /* @__PURE__ */ procedure(
  "DOMAIN_CREATE_XML",
  10,
  { xmlDesc: text, flags: uint },
  { dom: domain },
  { since: "0.5.0" },
);
export const domainDestroy = /* @__PURE__ */ procedure(
  "DOMAIN_DESTROY",
  12,
  { dom: domain },
  {},
  { since: "0.3.0" },
);
export const domainReboot = /* @__PURE__ */ procedure(
  "DOMAIN_REBOOT",
  27,
  { dom: domain, flags: uint },
  {},
  { since: "0.3.0" },
);
export const domainResume = /* @__PURE__ */ procedure(
  "DOMAIN_RESUME",
  28,
  { dom: domain },
  {},
  { since: "0.3.0" },
);
export const domainShutdown = /* @__PURE__ */ procedure(
  "DOMAIN_SHUTDOWN",
  33,
  { dom: domain },
  {},
  { since: "0.3.0" },
);
export const domainSuspend = /* @__PURE__ */ procedure(
  "DOMAIN_SUSPEND",
  34,
  { dom: domain },
  {},
  { since: "0.3.0" },
);
export const domainCreateWithFlags = /* @__PURE__ */ procedure(
  "DOMAIN_CREATE_WITH_FLAGS",
  196,
  { dom: domain, flags: uint },
  { dom: domain },
  { since: "0.8.2" },
);
export const domainDestroyFlags = /* @__PURE__ */ procedure(
  "DOMAIN_DESTROY_FLAGS",
  234,
  { dom: domain, flags: uint },
  {},
  { since: "0.9.4" },
);
export const domainReset = /* @__PURE__ */ procedure(
  "DOMAIN_RESET",
  245,
  { dom: domain, flags: uint },
  {},
  { since: "0.9.7" },
);
export const domainShutdownFlags = /* @__PURE__ */ procedure(
  "DOMAIN_SHUTDOWN_FLAGS",
  258,
  { dom: domain, flags: uint },
  {},
  { since: "0.9.10" },
);
export const domainPmSuspendForDuration = /* @__PURE__ */ procedure(
  "DOMAIN_PM_SUSPEND_FOR_DURATION",
  261,
  { dom: domain, target: uint, duration: uhyper, flags: uint },
  {},
  { since: "0.9.10" },
);
export const domainPmWakeup = /* @__PURE__ */ procedure(
  "DOMAIN_PM_WAKEUP",
  267,
  { dom: domain, flags: uint },
  {},
  { since: "0.9.11" },
);
export const domainCreateXmlWithFiles = /* @__PURE__ */ procedure(
  "DOMAIN_CREATE_XML_WITH_FILES",
  309,
  { xmlDesc: text, flags: uint },
  { dom: domain },
  { since: "1.1.1" },
);
export const domainCreateWithFiles = /* @__PURE__ */ procedure(
  "DOMAIN_CREATE_WITH_FILES",
  310,
  { dom: domain, flags: uint },
  { dom: domain },
  { since: "1.1.1" },
);
