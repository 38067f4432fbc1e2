// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
import { procedure } from "../rpc/procedure.ts";
import { optionalText, text, typedParameters, uint } from "../rpc/xdr.ts";
import { domain } from "./structs.ts";

export const domainRestore = /* @__PURE__ */ procedure(
  "DOMAIN_RESTORE",
  54,
  { from: text },
  {},
  { since: "0.3.0" },
);
export const domainSave = /* @__PURE__ */ procedure(
  "DOMAIN_SAVE",
  55,
  { dom: domain, to: text },
  {},
  { since: "0.3.0" },
);
export const domainManagedSave = /* @__PURE__ */ procedure(
  "DOMAIN_MANAGED_SAVE",
  182,
  { dom: domain, flags: uint },
  {},
  { since: "0.8.0" },
);
export const domainManagedSaveRemove = /* @__PURE__ */ procedure(
  "DOMAIN_MANAGED_SAVE_REMOVE",
  184,
  { dom: domain, flags: uint },
  {},
  { since: "0.8.0" },
);
export const domainSaveFlags = /* @__PURE__ */ procedure(
  "DOMAIN_SAVE_FLAGS",
  232,
  { dom: domain, to: text, dxml: optionalText, flags: uint },
  {},
  { since: "0.9.4" },
);
export const domainRestoreFlags = /* @__PURE__ */ procedure(
  "DOMAIN_RESTORE_FLAGS",
  233,
  { from: text, dxml: optionalText, flags: uint },
  {},
  { since: "0.9.4" },
);
export const domainSaveImageGetXmlDesc = /* @__PURE__ */ procedure(
  "DOMAIN_SAVE_IMAGE_GET_XML_DESC",
  235,
  { file: text, flags: uint },
  { xml: text },
  { since: "0.9.4", onlyReads: true },
);
export const domainSaveImageDefineXml = /* @__PURE__ */ procedure(
  "DOMAIN_SAVE_IMAGE_DEFINE_XML",
  236,
  { file: text, dxml: text, flags: uint },
  {},
  { since: "0.9.4" },
);
export const domainManagedSaveGetXmlDesc = /* @__PURE__ */ procedure(
  "DOMAIN_MANAGED_SAVE_GET_XML_DESC",
  388,
  { dom: domain, flags: uint },
  { xml: text },
  { since: "3.7.0", onlyReads: true },
);
export const domainManagedSaveDefineXml = /* @__PURE__ */ procedure(
  "DOMAIN_MANAGED_SAVE_DEFINE_XML",
  389,
  { dom: domain, dxml: optionalText, flags: uint },
  {},
  { since: "3.7.0" },
);
export const domainSaveParams = /* @__PURE__ */ procedure(
  "DOMAIN_SAVE_PARAMS",
  440,
  { dom: domain, params: /* @__PURE__ */ typedParameters(64), flags: uint },
  {},
  { since: "8.4.0" },
);
export const domainRestoreParams = /* @__PURE__ */ procedure(
  "DOMAIN_RESTORE_PARAMS",
  441,
  { params: /* @__PURE__ */ typedParameters(64), flags: uint },
  {},
  { since: "8.4.0" },
);
