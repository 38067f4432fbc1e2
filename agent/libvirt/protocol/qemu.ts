/** QEMU's own program, numbered apart. A domain that was given a monitor command by hand is tainted. */
import { event, procedure } from "../rpc/procedure.ts";
import { hyper, int, optional, string, uint } from "../rpc/xdr.ts";
import { domain } from "./objects.ts";

const qemu = { program: "qemu" } as const;

export const domainMonitorCommand = procedure(
  "DOMAIN_MONITOR_COMMAND",
  1,
  { dom: domain, cmd: string(), flags: uint },
  { result: string() },
  qemu,
);
/** `timeout` is seconds, or -2 block, -1 default, 0 no wait. */
export const domainAgentCommand = procedure(
  "DOMAIN_AGENT_COMMAND",
  3,
  { dom: domain, cmd: string(), timeout: int, flags: uint },
  { result: optional(string()) },
  qemu,
);
export const connectDomainMonitorEventRegister = procedure(
  "CONNECT_DOMAIN_MONITOR_EVENT_REGISTER",
  4,
  { dom: optional(domain), event: optional(string()), flags: uint },
  { callbackId: int },
  qemu,
);
export const connectDomainMonitorEventDeregister = procedure(
  "CONNECT_DOMAIN_MONITOR_EVENT_DEREGISTER",
  5,
  { callbackId: int },
  {},
  qemu,
);
export const domainMonitorEvent = event(
  "DOMAIN_MONITOR_EVENT",
  6,
  {
    callbackId: int,
    dom: domain,
    event: string(),
    seconds: hyper,
    micros: uint,
    details: optional(string()),
  },
  qemu,
);
