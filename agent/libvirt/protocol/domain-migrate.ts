// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
import { procedure } from "../rpc/procedure.ts";
import { bool, int, opaque, optionalText, text, typedParameters, uhyper, uint } from "../rpc/xdr.ts";
import { domain } from "./structs.ts";

export const domainMigratePrepare = /* @__PURE__ */ procedure(
  "DOMAIN_MIGRATE_PREPARE",
  61,
  { uriIn: optionalText, flags: uhyper, dname: optionalText, resource: uhyper },
  { cookie: /* @__PURE__ */ opaque(4194304), uriOut: optionalText },
  { since: "0.3.0" },
);
export const domainMigratePerform = /* @__PURE__ */ procedure(
  "DOMAIN_MIGRATE_PERFORM",
  62,
  {
    dom: domain,
    cookie: /* @__PURE__ */ opaque(4194304),
    uri: text,
    flags: uhyper,
    dname: optionalText,
    resource: uhyper,
  },
  {},
  { since: "0.3.0" },
);
export const domainMigrateFinish = /* @__PURE__ */ procedure(
  "DOMAIN_MIGRATE_FINISH",
  63,
  { dname: text, cookie: /* @__PURE__ */ opaque(4194304), uri: text, flags: uhyper },
  { ddom: domain },
  { since: "0.3.0" },
);
export const domainMigratePrepare2 = /* @__PURE__ */ procedure(
  "DOMAIN_MIGRATE_PREPARE2",
  108,
  { uriIn: optionalText, flags: uhyper, dname: optionalText, resource: uhyper, domXml: text },
  { cookie: /* @__PURE__ */ opaque(4194304), uriOut: optionalText },
  { since: "0.5.0" },
);
export const domainMigrateFinish2 = /* @__PURE__ */ procedure(
  "DOMAIN_MIGRATE_FINISH2",
  109,
  { dname: text, cookie: /* @__PURE__ */ opaque(4194304), uri: text, flags: uhyper, retcode: int },
  { ddom: domain },
  { since: "0.5.0" },
);
export const domainMigratePrepareTunnel = /* @__PURE__ */ procedure(
  "DOMAIN_MIGRATE_PREPARE_TUNNEL",
  148,
  { flags: uhyper, dname: optionalText, resource: uhyper, domXml: text },
  {},
  { since: "0.7.1", stream: "write" },
);
export const domainMigrateSetMaxDowntime = /* @__PURE__ */ procedure(
  "DOMAIN_MIGRATE_SET_MAX_DOWNTIME",
  166,
  { dom: domain, downtime: uhyper, flags: uint },
  {},
  { since: "0.8.0" },
);
export const domainMigrateSetMaxSpeed = /* @__PURE__ */ procedure(
  "DOMAIN_MIGRATE_SET_MAX_SPEED",
  207,
  { dom: domain, bandwidth: uhyper, flags: uint },
  {},
  { since: "0.9.0" },
);
export const domainMigrateBegin3 = /* @__PURE__ */ procedure(
  "DOMAIN_MIGRATE_BEGIN3",
  213,
  { dom: domain, xmlin: optionalText, flags: uhyper, dname: optionalText, resource: uhyper },
  { cookieOut: /* @__PURE__ */ opaque(4194304), xml: text },
  { since: "0.9.2" },
);
export const domainMigratePrepare3 = /* @__PURE__ */ procedure(
  "DOMAIN_MIGRATE_PREPARE3",
  214,
  {
    cookieIn: /* @__PURE__ */ opaque(4194304),
    uriIn: optionalText,
    flags: uhyper,
    dname: optionalText,
    resource: uhyper,
    domXml: text,
  },
  { cookieOut: /* @__PURE__ */ opaque(4194304), uriOut: optionalText },
  { since: "0.9.2" },
);
export const domainMigratePrepareTunnel3 = /* @__PURE__ */ procedure(
  "DOMAIN_MIGRATE_PREPARE_TUNNEL3",
  215,
  {
    cookieIn: /* @__PURE__ */ opaque(4194304),
    flags: uhyper,
    dname: optionalText,
    resource: uhyper,
    domXml: text,
  },
  { cookieOut: /* @__PURE__ */ opaque(4194304) },
  { since: "0.9.2", stream: "write" },
);
export const domainMigratePerform3 = /* @__PURE__ */ procedure(
  "DOMAIN_MIGRATE_PERFORM3",
  216,
  {
    dom: domain,
    xmlin: optionalText,
    cookieIn: /* @__PURE__ */ opaque(4194304),
    dconnuri: optionalText,
    uri: optionalText,
    flags: uhyper,
    dname: optionalText,
    resource: uhyper,
  },
  { cookieOut: /* @__PURE__ */ opaque(4194304) },
  { since: "0.9.2" },
);
export const domainMigrateFinish3 = /* @__PURE__ */ procedure(
  "DOMAIN_MIGRATE_FINISH3",
  217,
  {
    dname: text,
    cookieIn: /* @__PURE__ */ opaque(4194304),
    dconnuri: optionalText,
    uri: optionalText,
    flags: uhyper,
    cancelled: bool,
  },
  { dom: domain, cookieOut: /* @__PURE__ */ opaque(4194304) },
  { since: "0.9.2" },
);
export const domainMigrateConfirm3 = /* @__PURE__ */ procedure(
  "DOMAIN_MIGRATE_CONFIRM3",
  218,
  { dom: domain, cookieIn: /* @__PURE__ */ opaque(4194304), flags: uhyper, cancelled: bool },
  {},
  { since: "0.9.2" },
);
export const domainMigrateGetMaxSpeed = /* @__PURE__ */ procedure(
  "DOMAIN_MIGRATE_GET_MAX_SPEED",
  242,
  { dom: domain, flags: uint },
  { bandwidth: uhyper },
  { since: "0.9.5", onlyReads: true },
);
export const domainMigrateGetCompressionCache = /* @__PURE__ */ procedure(
  "DOMAIN_MIGRATE_GET_COMPRESSION_CACHE",
  299,
  { dom: domain, flags: uint },
  { cacheSize: uhyper },
  { since: "1.0.3", onlyReads: true },
);
export const domainMigrateSetCompressionCache = /* @__PURE__ */ procedure(
  "DOMAIN_MIGRATE_SET_COMPRESSION_CACHE",
  300,
  { dom: domain, cacheSize: uhyper, flags: uint },
  {},
  { since: "1.0.3" },
);
export const domainMigrateBegin3Params = /* @__PURE__ */ procedure(
  "DOMAIN_MIGRATE_BEGIN3_PARAMS",
  302,
  { dom: domain, params: /* @__PURE__ */ typedParameters(64), flags: uint },
  { cookieOut: /* @__PURE__ */ opaque(4194304), xml: text },
  { since: "1.0.5" },
);
export const domainMigratePrepare3Params = /* @__PURE__ */ procedure(
  "DOMAIN_MIGRATE_PREPARE3_PARAMS",
  303,
  { params: /* @__PURE__ */ typedParameters(64), cookieIn: /* @__PURE__ */ opaque(4194304), flags: uint },
  { cookieOut: /* @__PURE__ */ opaque(4194304), uriOut: optionalText },
  { since: "1.0.5" },
);
export const domainMigratePrepareTunnel3Params = /* @__PURE__ */ procedure(
  "DOMAIN_MIGRATE_PREPARE_TUNNEL3_PARAMS",
  304,
  { params: /* @__PURE__ */ typedParameters(64), cookieIn: /* @__PURE__ */ opaque(4194304), flags: uint },
  { cookieOut: /* @__PURE__ */ opaque(4194304) },
  { since: "1.0.5", stream: "write" },
);
export const domainMigratePerform3Params = /* @__PURE__ */ procedure(
  "DOMAIN_MIGRATE_PERFORM3_PARAMS",
  305,
  {
    dom: domain,
    dconnuri: optionalText,
    params: /* @__PURE__ */ typedParameters(64),
    cookieIn: /* @__PURE__ */ opaque(4194304),
    flags: uint,
  },
  { cookieOut: /* @__PURE__ */ opaque(4194304) },
  { since: "1.0.5" },
);
export const domainMigrateFinish3Params = /* @__PURE__ */ procedure(
  "DOMAIN_MIGRATE_FINISH3_PARAMS",
  306,
  {
    params: /* @__PURE__ */ typedParameters(64),
    cookieIn: /* @__PURE__ */ opaque(4194304),
    flags: uint,
    cancelled: bool,
  },
  { dom: domain, cookieOut: /* @__PURE__ */ opaque(4194304) },
  { since: "1.0.5" },
);
export const domainMigrateConfirm3Params = /* @__PURE__ */ procedure(
  "DOMAIN_MIGRATE_CONFIRM3_PARAMS",
  307,
  {
    dom: domain,
    params: /* @__PURE__ */ typedParameters(64),
    cookieIn: /* @__PURE__ */ opaque(4194304),
    flags: uint,
    cancelled: bool,
  },
  {},
  { since: "1.0.5" },
);
export const domainMigrateStartPostCopy = /* @__PURE__ */ procedure(
  "DOMAIN_MIGRATE_START_POST_COPY",
  364,
  { dom: domain, flags: uint },
  {},
  { since: "1.3.3" },
);
export const domainMigrateGetMaxDowntime = /* @__PURE__ */ procedure(
  "DOMAIN_MIGRATE_GET_MAX_DOWNTIME",
  387,
  { dom: domain, flags: uint },
  { downtime: uhyper },
  { since: "3.7.0", onlyReads: true },
);
