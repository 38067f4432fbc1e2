// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
import { procedure } from "../rpc/procedure.ts";
import { int, text, uhyper, uint } from "../rpc/xdr.ts";
import { storagePool, storageVol } from "./structs.ts";

export const storageVolCreateXml = /* @__PURE__ */ procedure(
  "STORAGE_VOL_CREATE_XML",
  93,
  { pool: storagePool, xml: text, flags: uint },
  { vol: storageVol },
  { since: "0.4.1", family: "storage" },
);
export const storageVolDelete = /* @__PURE__ */ procedure(
  "STORAGE_VOL_DELETE",
  94,
  { vol: storageVol, flags: uint },
  {},
  { since: "0.4.1", family: "storage" },
);
export const storageVolLookupByName = /* @__PURE__ */ procedure(
  "STORAGE_VOL_LOOKUP_BY_NAME",
  95,
  { pool: storagePool, name: text },
  { vol: storageVol },
  { since: "0.4.1", family: "storage", onlyReads: true },
);
export const storageVolLookupByKey = /* @__PURE__ */ procedure(
  "STORAGE_VOL_LOOKUP_BY_KEY",
  96,
  { key: text },
  { vol: storageVol },
  { since: "0.4.1", family: "storage", onlyReads: true },
);
export const storageVolLookupByPath = /* @__PURE__ */ procedure(
  "STORAGE_VOL_LOOKUP_BY_PATH",
  97,
  { path: text },
  { vol: storageVol },
  { since: "0.4.1", family: "storage", onlyReads: true },
);
export const storageVolGetInfo = /* @__PURE__ */ procedure(
  "STORAGE_VOL_GET_INFO",
  98,
  { vol: storageVol },
  { type: int, capacity: uhyper, allocation: uhyper },
  { since: "0.4.1", family: "storage", onlyReads: true },
);
export const storageVolGetXmlDesc = /* @__PURE__ */ procedure(
  "STORAGE_VOL_GET_XML_DESC",
  99,
  { vol: storageVol, flags: uint },
  { xml: text },
  { since: "0.4.1", family: "storage", onlyReads: true },
);
export const storageVolGetPath = /* @__PURE__ */ procedure(
  "STORAGE_VOL_GET_PATH",
  100,
  { vol: storageVol },
  { name: text },
  { since: "0.4.1", family: "storage", onlyReads: true },
);
export const storageVolCreateXmlFrom = /* @__PURE__ */ procedure(
  "STORAGE_VOL_CREATE_XML_FROM",
  125,
  { pool: storagePool, xml: text, clonevol: storageVol, flags: uint },
  { vol: storageVol },
  { since: "0.6.4", family: "storage" },
);
export const storageVolWipe = /* @__PURE__ */ procedure(
  "STORAGE_VOL_WIPE",
  165,
  { vol: storageVol, flags: uint },
  {},
  { since: "0.8.0", family: "storage" },
);
export const storageVolUpload = /* @__PURE__ */ procedure(
  "STORAGE_VOL_UPLOAD",
  208,
  { vol: storageVol, offset: uhyper, length: uhyper, flags: uint },
  {},
  { since: "0.9.0", family: "storage", stream: "write" },
);
export const storageVolDownload = /* @__PURE__ */ procedure(
  "STORAGE_VOL_DOWNLOAD",
  209,
  { vol: storageVol, offset: uhyper, length: uhyper, flags: uint },
  {},
  { since: "0.9.0", family: "storage", onlyReads: true, stream: "read" },
);
export const storageVolWipePattern = /* @__PURE__ */ procedure(
  "STORAGE_VOL_WIPE_PATTERN",
  259,
  { vol: storageVol, algorithm: uint, flags: uint },
  {},
  { since: "0.9.10", family: "storage" },
);
export const storageVolResize = /* @__PURE__ */ procedure(
  "STORAGE_VOL_RESIZE",
  260,
  { vol: storageVol, capacity: uhyper, flags: uint },
  {},
  { since: "0.9.10", family: "storage" },
);
export const storageVolGetInfoFlags = /* @__PURE__ */ procedure(
  "STORAGE_VOL_GET_INFO_FLAGS",
  378,
  { vol: storageVol, flags: uint },
  { type: int, capacity: uhyper, allocation: uhyper },
  { since: "3.0.0", family: "storage", onlyReads: true },
);
