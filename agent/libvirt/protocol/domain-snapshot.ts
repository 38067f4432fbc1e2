// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
import { procedure } from "../rpc/procedure.ts";
import { array, bool, int, text, uint } from "../rpc/xdr.ts";
import { domain, domainSnapshot } from "./structs.ts";

export const domainSnapshotCreateXml = /* @__PURE__ */ procedure(
  "DOMAIN_SNAPSHOT_CREATE_XML",
  185,
  { dom: domain, xmlDesc: text, flags: uint },
  { snap: domainSnapshot },
  { since: "0.8.0" },
);
export const domainSnapshotGetXmlDesc = /* @__PURE__ */ procedure(
  "DOMAIN_SNAPSHOT_GET_XML_DESC",
  186,
  { snap: domainSnapshot, flags: uint },
  { xml: text },
  { since: "0.8.0", onlyReads: true },
);
export const domainSnapshotNum = /* @__PURE__ */ procedure(
  "DOMAIN_SNAPSHOT_NUM",
  187,
  { dom: domain, flags: uint },
  { num: int },
  { since: "0.8.0", onlyReads: true },
);
export const domainSnapshotListNames = /* @__PURE__ */ procedure(
  "DOMAIN_SNAPSHOT_LIST_NAMES",
  188,
  { dom: domain, maxnames: int, flags: uint },
  { names: /* @__PURE__ */ array(text, 16384) },
  { since: "0.8.0", onlyReads: true },
);
export const domainSnapshotLookupByName = /* @__PURE__ */ procedure(
  "DOMAIN_SNAPSHOT_LOOKUP_BY_NAME",
  189,
  { dom: domain, name: text, flags: uint },
  { snap: domainSnapshot },
  { since: "0.8.0", onlyReads: true },
);
export const domainSnapshotCurrent = /* @__PURE__ */ procedure(
  "DOMAIN_SNAPSHOT_CURRENT",
  191,
  { dom: domain, flags: uint },
  { snap: domainSnapshot },
  { since: "0.8.0", onlyReads: true },
);
export const domainSnapshotDelete = /* @__PURE__ */ procedure(
  "DOMAIN_SNAPSHOT_DELETE",
  193,
  { snap: domainSnapshot, flags: uint },
  {},
  { since: "0.8.0" },
);
export const domainSnapshotGetParent = /* @__PURE__ */ procedure(
  "DOMAIN_SNAPSHOT_GET_PARENT",
  244,
  { snap: domainSnapshot, flags: uint },
  { snap: domainSnapshot },
  { since: "0.9.7", onlyReads: true },
);
export const domainSnapshotNumChildren = /* @__PURE__ */ procedure(
  "DOMAIN_SNAPSHOT_NUM_CHILDREN",
  246,
  { snap: domainSnapshot, flags: uint },
  { num: int },
  { since: "0.9.7", onlyReads: true },
);
export const domainSnapshotListChildrenNames = /* @__PURE__ */ procedure(
  "DOMAIN_SNAPSHOT_LIST_CHILDREN_NAMES",
  247,
  { snap: domainSnapshot, maxnames: int, flags: uint },
  { names: /* @__PURE__ */ array(text, 16384) },
  { since: "0.9.7", onlyReads: true },
);
export const domainSnapshotIsCurrent = /* @__PURE__ */ procedure(
  "DOMAIN_SNAPSHOT_IS_CURRENT",
  271,
  { snap: domainSnapshot, flags: uint },
  { current: bool },
  { since: "0.9.13", onlyReads: true },
);
export const domainSnapshotHasMetadata = /* @__PURE__ */ procedure(
  "DOMAIN_SNAPSHOT_HAS_METADATA",
  272,
  { snap: domainSnapshot, flags: uint },
  { metadata: bool },
  { since: "0.9.13", onlyReads: true },
);
export const domainSnapshotListAllChildren = /* @__PURE__ */ procedure(
  "DOMAIN_SNAPSHOT_LIST_ALL_CHILDREN",
  275,
  { snapshot: domainSnapshot, needResults: bool, flags: uint },
  { snapshots: /* @__PURE__ */ array(domainSnapshot, 16384), ret: int },
  { since: "0.9.13", onlyReads: true },
);
