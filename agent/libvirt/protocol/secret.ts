// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
import { event, procedure } from "../rpc/procedure.ts";
import { int, opaque, text, uint, uuid } from "../rpc/xdr.ts";
import { secret } from "./structs.ts";

export const secretLookupByUuid = /* @__PURE__ */ procedure(
  "SECRET_LOOKUP_BY_UUID",
  141,
  { uuid },
  { secret },
  { since: "0.7.1", family: "secret", onlyReads: true },
);
export const secretDefineXml = /* @__PURE__ */ procedure(
  "SECRET_DEFINE_XML",
  142,
  { xml: text, flags: uint },
  { secret },
  { since: "0.7.1", family: "secret" },
);
export const secretGetXmlDesc = /* @__PURE__ */ procedure(
  "SECRET_GET_XML_DESC",
  143,
  { secret, flags: uint },
  { xml: text },
  { since: "0.7.1", family: "secret", onlyReads: true },
);
export const secretSetValue = /* @__PURE__ */ procedure(
  "SECRET_SET_VALUE",
  144,
  { secret, value: /* @__PURE__ */ opaque(65536), flags: uint },
  {},
  { since: "0.7.1", family: "secret" },
);
export const secretGetValue = /* @__PURE__ */ procedure(
  "SECRET_GET_VALUE",
  145,
  { secret, flags: uint },
  { value: /* @__PURE__ */ opaque(65536) },
  { since: "0.7.1", family: "secret", onlyReads: true },
);
export const secretUndefine = /* @__PURE__ */ procedure(
  "SECRET_UNDEFINE",
  146,
  { secret },
  {},
  { since: "0.7.1", family: "secret" },
);
export const secretLookupByUsage = /* @__PURE__ */ procedure(
  "SECRET_LOOKUP_BY_USAGE",
  147,
  { usageType: int, usageId: text },
  { secret },
  { since: "0.7.1", family: "secret", onlyReads: true },
);
export const secretEventLifecycle = /* @__PURE__ */ event(
  "SECRET_EVENT_LIFECYCLE",
  382,
  { callbackId: int, secret, event: int, detail: int },
  { since: "3.0.0" },
);
export const secretEventValueChanged = /* @__PURE__ */ event(
  "SECRET_EVENT_VALUE_CHANGED",
  383,
  { callbackId: int, secret },
  { since: "3.0.0" },
);
