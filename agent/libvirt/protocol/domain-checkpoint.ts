// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
import { procedure } from "../rpc/procedure.ts";
import { array, bool, int, text, uint } from "../rpc/xdr.ts";
import { domain, domainCheckpoint } from "./structs.ts";

export const domainCheckpointCreateXml = /* @__PURE__ */ procedure(
  "DOMAIN_CHECKPOINT_CREATE_XML",
  411,
  { dom: domain, xmlDesc: text, flags: uint },
  { checkpoint: domainCheckpoint },
  { since: "5.6.0" },
);
export const domainCheckpointGetXmlDesc = /* @__PURE__ */ procedure(
  "DOMAIN_CHECKPOINT_GET_XML_DESC",
  412,
  { checkpoint: domainCheckpoint, flags: uint },
  { xml: text },
  { since: "5.6.0", onlyReads: true },
);
export const domainCheckpointListAllChildren = /* @__PURE__ */ procedure(
  "DOMAIN_CHECKPOINT_LIST_ALL_CHILDREN",
  414,
  { checkpoint: domainCheckpoint, needResults: bool, flags: uint },
  { checkpoints: /* @__PURE__ */ array(domainCheckpoint, 16384), ret: int },
  { since: "5.6.0", onlyReads: true },
);
export const domainCheckpointLookupByName = /* @__PURE__ */ procedure(
  "DOMAIN_CHECKPOINT_LOOKUP_BY_NAME",
  415,
  { dom: domain, name: text, flags: uint },
  { checkpoint: domainCheckpoint },
  { since: "5.6.0", onlyReads: true },
);
export const domainCheckpointGetParent = /* @__PURE__ */ procedure(
  "DOMAIN_CHECKPOINT_GET_PARENT",
  416,
  { checkpoint: domainCheckpoint, flags: uint },
  { parent: domainCheckpoint },
  { since: "5.6.0", onlyReads: true },
);
export const domainCheckpointDelete = /* @__PURE__ */ procedure(
  "DOMAIN_CHECKPOINT_DELETE",
  417,
  { checkpoint: domainCheckpoint, flags: uint },
  {},
  { since: "5.6.0" },
);
