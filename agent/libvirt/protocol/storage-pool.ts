// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
import { event, procedure } from "../rpc/procedure.ts";
import { array, bool, int, text, uhyper, uint, uuid } from "../rpc/xdr.ts";
import { storagePool, storageVol } from "./structs.ts";

export const storagePoolCreateXml = /* @__PURE__ */ procedure(
  "STORAGE_POOL_CREATE_XML",
  76,
  { xml: text, flags: uint },
  { pool: storagePool },
  { since: "0.4.1", family: "storage" },
);
export const storagePoolDefineXml = /* @__PURE__ */ procedure(
  "STORAGE_POOL_DEFINE_XML",
  77,
  { xml: text, flags: uint },
  { pool: storagePool },
  { since: "0.4.1", family: "storage" },
);
export const storagePoolCreate = /* @__PURE__ */ procedure(
  "STORAGE_POOL_CREATE",
  78,
  { pool: storagePool, flags: uint },
  {},
  { since: "0.4.1", family: "storage" },
);
export const storagePoolBuild = /* @__PURE__ */ procedure(
  "STORAGE_POOL_BUILD",
  79,
  { pool: storagePool, flags: uint },
  {},
  { since: "0.4.1", family: "storage" },
);
export const storagePoolDestroy = /* @__PURE__ */ procedure(
  "STORAGE_POOL_DESTROY",
  80,
  { pool: storagePool },
  {},
  { since: "0.4.1", family: "storage" },
);
export const storagePoolDelete = /* @__PURE__ */ procedure(
  "STORAGE_POOL_DELETE",
  81,
  { pool: storagePool, flags: uint },
  {},
  { since: "0.4.1", family: "storage" },
);
export const storagePoolUndefine = /* @__PURE__ */ procedure(
  "STORAGE_POOL_UNDEFINE",
  82,
  { pool: storagePool },
  {},
  { since: "0.4.1", family: "storage" },
);
export const storagePoolRefresh = /* @__PURE__ */ procedure(
  "STORAGE_POOL_REFRESH",
  83,
  { pool: storagePool, flags: uint },
  {},
  { since: "0.4.1", family: "storage" },
);
export const storagePoolLookupByName = /* @__PURE__ */ procedure(
  "STORAGE_POOL_LOOKUP_BY_NAME",
  84,
  { name: text },
  { pool: storagePool },
  { since: "0.4.1", family: "storage", onlyReads: true },
);
export const storagePoolLookupByUuid = /* @__PURE__ */ procedure(
  "STORAGE_POOL_LOOKUP_BY_UUID",
  85,
  { uuid },
  { pool: storagePool },
  { since: "0.4.1", family: "storage", onlyReads: true },
);
export const storagePoolLookupByVolume = /* @__PURE__ */ procedure(
  "STORAGE_POOL_LOOKUP_BY_VOLUME",
  86,
  { vol: storageVol },
  { pool: storagePool },
  { since: "0.4.1", family: "storage", onlyReads: true },
);
export const storagePoolGetInfo = /* @__PURE__ */ procedure(
  "STORAGE_POOL_GET_INFO",
  87,
  { pool: storagePool },
  { state: uint, capacity: uhyper, allocation: uhyper, available: uhyper },
  { since: "0.4.1", family: "storage", onlyReads: true },
);
export const storagePoolGetXmlDesc = /* @__PURE__ */ procedure(
  "STORAGE_POOL_GET_XML_DESC",
  88,
  { pool: storagePool, flags: uint },
  { xml: text },
  { since: "0.4.1", family: "storage", onlyReads: true },
);
export const storagePoolGetAutostart = /* @__PURE__ */ procedure(
  "STORAGE_POOL_GET_AUTOSTART",
  89,
  { pool: storagePool },
  { autostart: bool },
  { since: "0.4.1", family: "storage", onlyReads: true },
);
export const storagePoolSetAutostart = /* @__PURE__ */ procedure(
  "STORAGE_POOL_SET_AUTOSTART",
  90,
  { pool: storagePool, autostart: bool },
  {},
  { since: "0.4.1", family: "storage" },
);
export const storagePoolNumOfVolumes = /* @__PURE__ */ procedure(
  "STORAGE_POOL_NUM_OF_VOLUMES",
  91,
  { pool: storagePool },
  { num: int },
  { since: "0.4.1", family: "storage", onlyReads: true },
);
export const storagePoolListVolumes = /* @__PURE__ */ procedure(
  "STORAGE_POOL_LIST_VOLUMES",
  92,
  { pool: storagePool, maxnames: int },
  { names: /* @__PURE__ */ array(text, 16384) },
  { since: "0.4.1", family: "storage", onlyReads: true },
);
export const storagePoolIsActive = /* @__PURE__ */ procedure(
  "STORAGE_POOL_IS_ACTIVE",
  154,
  { pool: storagePool },
  { active: bool },
  { since: "0.7.3", family: "storage", onlyReads: true },
);
export const storagePoolIsPersistent = /* @__PURE__ */ procedure(
  "STORAGE_POOL_IS_PERSISTENT",
  155,
  { pool: storagePool },
  { persistent: bool },
  { since: "0.7.3", family: "storage", onlyReads: true },
);
export const storagePoolListAllVolumes = /* @__PURE__ */ procedure(
  "STORAGE_POOL_LIST_ALL_VOLUMES",
  282,
  { pool: storagePool, needResults: bool, flags: uint },
  { vols: /* @__PURE__ */ array(storageVol, 16384), ret: uint },
  { since: "0.10.2", family: "storage", onlyReads: true },
);
export const storagePoolEventLifecycle = /* @__PURE__ */ event(
  "STORAGE_POOL_EVENT_LIFECYCLE",
  370,
  { callbackId: int, pool: storagePool, event: int, detail: int },
  { since: "2.0.0" },
);
export const storagePoolEventRefresh = /* @__PURE__ */ event(
  "STORAGE_POOL_EVENT_REFRESH",
  373,
  { callbackId: int, pool: storagePool },
  { since: "2.0.0" },
);
export const storagePoolLookupByTargetPath = /* @__PURE__ */ procedure(
  "STORAGE_POOL_LOOKUP_BY_TARGET_PATH",
  391,
  { path: text },
  { pool: storagePool },
  { since: "4.1.0", family: "storage", onlyReads: true },
);
