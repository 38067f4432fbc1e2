/**
 * Live migration, protocol version 3 with parameters. With PEER2PEER among the flags a single perform on the source
 * does it all, the source daemon talking to the destination's; otherwise: begin (source), prepare (destination),
 * perform (source), finish (destination), confirm (source), each handing its cookie to the next.
 */
import { procedure } from "../rpc/procedure.ts";
import { bool, opaque, optional, string, typedParameters, uhyper, uint } from "../rpc/xdr.ts";
import { domain } from "./objects.ts";

const read = { idempotent: true } as const;

export const domainMigrateBegin3Params = procedure(
  "DOMAIN_MIGRATE_BEGIN3_PARAMS",
  302,
  { dom: domain, params: typedParameters(64), flags: uint },
  { cookieOut: opaque(4194304), xml: string() },
);
export const domainMigratePrepare3Params = procedure(
  "DOMAIN_MIGRATE_PREPARE3_PARAMS",
  303,
  { params: typedParameters(64), cookieIn: opaque(4194304), flags: uint },
  { cookieOut: opaque(4194304), uriOut: optional(string()) },
);
export const domainMigratePerform3Params = procedure(
  "DOMAIN_MIGRATE_PERFORM3_PARAMS",
  305,
  {
    dom: domain,
    dconnuri: optional(string()),
    params: typedParameters(64),
    cookieIn: opaque(4194304),
    flags: uint,
  },
  { cookieOut: opaque(4194304) },
);
export const domainMigrateFinish3Params = procedure(
  "DOMAIN_MIGRATE_FINISH3_PARAMS",
  306,
  { params: typedParameters(64), cookieIn: opaque(4194304), flags: uint, cancelled: bool },
  { dom: domain, cookieOut: opaque(4194304) },
);
export const domainMigrateConfirm3Params = procedure(
  "DOMAIN_MIGRATE_CONFIRM3_PARAMS",
  307,
  { dom: domain, params: typedParameters(64), cookieIn: opaque(4194304), flags: uint, cancelled: bool },
  {},
);

// While it runs
/** Milliseconds. */
export const domainMigrateGetMaxDowntime = procedure(
  "DOMAIN_MIGRATE_GET_MAX_DOWNTIME",
  387,
  { dom: domain, flags: uint },
  { downtime: uhyper },
  read,
);
export const domainMigrateSetMaxDowntime = procedure(
  "DOMAIN_MIGRATE_SET_MAX_DOWNTIME",
  166,
  { dom: domain, downtime: uhyper, flags: uint },
  {},
);
/** MiB/s. */
export const domainMigrateGetMaxSpeed = procedure(
  "DOMAIN_MIGRATE_GET_MAX_SPEED",
  242,
  { dom: domain, flags: uint },
  { bandwidth: uhyper },
  read,
);
export const domainMigrateSetMaxSpeed = procedure(
  "DOMAIN_MIGRATE_SET_MAX_SPEED",
  207,
  { dom: domain, bandwidth: uhyper, flags: uint },
  {},
);
/** Bytes. */
export const domainMigrateGetCompressionCache = procedure(
  "DOMAIN_MIGRATE_GET_COMPRESSION_CACHE",
  299,
  { dom: domain, flags: uint },
  { cacheSize: uhyper },
  read,
);
export const domainMigrateSetCompressionCache = procedure(
  "DOMAIN_MIGRATE_SET_COMPRESSION_CACHE",
  300,
  { dom: domain, cacheSize: uhyper, flags: uint },
  {},
);
export const domainMigrateStartPostCopy = procedure(
  "DOMAIN_MIGRATE_START_POST_COPY",
  364,
  { dom: domain, flags: uint },
  {},
);
