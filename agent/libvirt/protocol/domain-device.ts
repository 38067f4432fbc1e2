// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
import { procedure } from "../rpc/procedure.ts";
import { text, uint } from "../rpc/xdr.ts";
import { domain } from "./structs.ts";

export const domainAttachDevice = /* @__PURE__ */ procedure(
  "DOMAIN_ATTACH_DEVICE",
  8,
  { dom: domain, xml: text },
  {},
  { since: "0.3.0" },
);
export const domainDetachDevice = /* @__PURE__ */ procedure(
  "DOMAIN_DETACH_DEVICE",
  13,
  { dom: domain, xml: text },
  {},
  { since: "0.3.0" },
);
export const domainAttachDeviceFlags = /* @__PURE__ */ procedure(
  "DOMAIN_ATTACH_DEVICE_FLAGS",
  160,
  { dom: domain, xml: text, flags: uint },
  {},
  { since: "0.7.7" },
);
export const domainDetachDeviceFlags = /* @__PURE__ */ procedure(
  "DOMAIN_DETACH_DEVICE_FLAGS",
  161,
  { dom: domain, xml: text, flags: uint },
  {},
  { since: "0.7.7" },
);
export const domainUpdateDeviceFlags = /* @__PURE__ */ procedure(
  "DOMAIN_UPDATE_DEVICE_FLAGS",
  174,
  { dom: domain, xml: text, flags: uint },
  {},
  { since: "0.8.0" },
);
export const domainDetachDeviceAlias = /* @__PURE__ */ procedure(
  "DOMAIN_DETACH_DEVICE_ALIAS",
  392,
  { dom: domain, alias: text, flags: uint },
  {},
  { since: "4.4.0" },
);
