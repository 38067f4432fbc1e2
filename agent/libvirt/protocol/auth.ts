// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
import { procedure } from "../rpc/procedure.ts";
import { array, int, text } from "../rpc/xdr.ts";

export const authList = /* @__PURE__ */ procedure(
  "AUTH_LIST",
  66,
  {},
  { types: /* @__PURE__ */ array(int, 20) },
  { since: "0.3.2", onlyReads: true },
);
export const authSaslInit = /* @__PURE__ */ procedure(
  "AUTH_SASL_INIT",
  67,
  {},
  { mechlist: text },
  { since: "0.3.2", onlyReads: true },
);
export const authSaslStart = /* @__PURE__ */ procedure(
  "AUTH_SASL_START",
  68,
  { mech: text, nil: int, data: /* @__PURE__ */ array(int, 65536) },
  { complete: int, nil: int, data: /* @__PURE__ */ array(int, 65536) },
  { since: "0.3.2", onlyReads: true },
);
export const authSaslStep = /* @__PURE__ */ procedure(
  "AUTH_SASL_STEP",
  69,
  { nil: int, data: /* @__PURE__ */ array(int, 65536) },
  { complete: int, nil: int, data: /* @__PURE__ */ array(int, 65536) },
  { since: "0.3.2", onlyReads: true },
);
export const authPolkit = /* @__PURE__ */ procedure(
  "AUTH_POLKIT",
  70,
  {},
  { complete: int },
  { since: "0.3.2", onlyReads: true },
);
