// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
import { event, procedure } from "../rpc/procedure.ts";
import { hyper, int, optional, optionalText, text, uint } from "../rpc/xdr.ts";
import { domain } from "./structs.ts";

export const domainMonitorCommand = /* @__PURE__ */ procedure(
  "DOMAIN_MONITOR_COMMAND",
  1,
  { dom: domain, cmd: text, flags: uint },
  { result: text },
  { since: "0.8.3", program: "qemu" },
);
export const domainAttach = /* @__PURE__ */ procedure(
  "DOMAIN_ATTACH",
  2,
  { pidValue: uint, flags: uint },
  { dom: domain },
  { since: "0.9.4", program: "qemu" },
);
export const domainAgentCommand = /* @__PURE__ */ procedure(
  "DOMAIN_AGENT_COMMAND",
  3,
  { dom: domain, cmd: text, timeout: int, flags: uint },
  { result: optionalText },
  { since: "0.10.0", program: "qemu" },
);
export const connectDomainMonitorEventRegister = /* @__PURE__ */ procedure(
  "CONNECT_DOMAIN_MONITOR_EVENT_REGISTER",
  4,
  { dom: /* @__PURE__ */ optional(domain), event: optionalText, flags: uint },
  { callbackId: int },
  { since: "1.2.3", program: "qemu" },
);
export const connectDomainMonitorEventDeregister = /* @__PURE__ */ procedure(
  "CONNECT_DOMAIN_MONITOR_EVENT_DEREGISTER",
  5,
  { callbackId: int },
  {},
  { since: "1.2.3", program: "qemu" },
);
export const domainMonitorEvent = /* @__PURE__ */ event(
  "DOMAIN_MONITOR_EVENT",
  6,
  { callbackId: int, dom: domain, event: text, seconds: hyper, micros: uint, details: optionalText },
  { since: "1.2.3", program: "qemu" },
);
export const domainMonitorCommandWithFiles = /* @__PURE__ */ procedure(
  "DOMAIN_MONITOR_COMMAND_WITH_FILES",
  7,
  { dom: domain, cmd: text, flags: uint },
  { result: text },
  { since: "8.2.0", program: "qemu" },
);
