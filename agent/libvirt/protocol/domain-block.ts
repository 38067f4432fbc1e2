// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
import { procedure } from "../rpc/procedure.ts";
import { hyper, int, opaque, optionalText, text, typedParameters, uhyper, uint } from "../rpc/xdr.ts";
import { domain } from "./structs.ts";

export const domainBlockStats = /* @__PURE__ */ procedure(
  "DOMAIN_BLOCK_STATS",
  64,
  { dom: domain, path: text },
  { rdReq: hyper, rdBytes: hyper, wrReq: hyper, wrBytes: hyper, errs: hyper },
  { since: "0.3.2", onlyReads: true },
);
export const domainBlockPeek = /* @__PURE__ */ procedure(
  "DOMAIN_BLOCK_PEEK",
  103,
  { dom: domain, path: text, offset: uhyper, size: uint, flags: uint },
  { buffer: /* @__PURE__ */ opaque(4194304) },
  { since: "0.4.2", onlyReads: true },
);
export const domainBlockJobAbort = /* @__PURE__ */ procedure(
  "DOMAIN_BLOCK_JOB_ABORT",
  237,
  { dom: domain, path: text, flags: uint },
  {},
  { since: "0.9.4" },
);
export const domainBlockJobSetSpeed = /* @__PURE__ */ procedure(
  "DOMAIN_BLOCK_JOB_SET_SPEED",
  239,
  { dom: domain, path: text, bandwidth: uhyper, flags: uint },
  {},
  { since: "0.9.4" },
);
export const domainBlockPull = /* @__PURE__ */ procedure(
  "DOMAIN_BLOCK_PULL",
  240,
  { dom: domain, path: text, bandwidth: uhyper, flags: uint },
  {},
  { since: "0.9.4" },
);
export const domainBlockStatsFlags = /* @__PURE__ */ procedure(
  "DOMAIN_BLOCK_STATS_FLAGS",
  243,
  { dom: domain, path: text, nparams: int, flags: uint },
  { params: /* @__PURE__ */ typedParameters(16), nparams: int },
  { since: "0.9.5", onlyReads: true },
);
export const domainBlockResize = /* @__PURE__ */ procedure(
  "DOMAIN_BLOCK_RESIZE",
  251,
  { dom: domain, disk: text, size: uhyper, flags: uint },
  {},
  { since: "0.9.8" },
);
export const domainBlockRebase = /* @__PURE__ */ procedure(
  "DOMAIN_BLOCK_REBASE",
  266,
  { dom: domain, path: text, base: optionalText, bandwidth: uhyper, flags: uint },
  {},
  { since: "0.9.10" },
);
export const domainBlockCommit = /* @__PURE__ */ procedure(
  "DOMAIN_BLOCK_COMMIT",
  290,
  { dom: domain, disk: text, base: optionalText, top: optionalText, bandwidth: uhyper, flags: uint },
  {},
  { since: "0.10.2" },
);
export const domainBlockCopy = /* @__PURE__ */ procedure(
  "DOMAIN_BLOCK_COPY",
  345,
  { dom: domain, path: text, destxml: text, params: /* @__PURE__ */ typedParameters(16), flags: uint },
  {},
  { since: "1.2.8" },
);
