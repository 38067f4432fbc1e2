import { procedure } from "../rpc/procedure.ts";
import { array, bool, optional, string, uhyper, uint, uuid } from "../rpc/xdr.ts";
import { storagePool, storageVol } from "./objects.ts";

const read = { family: "storage", idempotent: true } as const;
const change = { family: "storage" } as const;

export const connectListAllStoragePools = procedure(
  "CONNECT_LIST_ALL_STORAGE_POOLS",
  281,
  { needResults: bool, flags: uint },
  { pools: array(storagePool, 16384), ret: uint },
  read,
);
export const connectGetStoragePoolCapabilities = procedure(
  "CONNECT_GET_STORAGE_POOL_CAPABILITIES",
  403,
  { flags: uint },
  { capabilities: string() },
  read,
);
export const connectFindStoragePoolSources = procedure(
  "CONNECT_FIND_STORAGE_POOL_SOURCES",
  75,
  { type: string(), srcSpec: optional(string()), flags: uint },
  { xml: string() },
  read,
);
export const storagePoolLookupByName = procedure(
  "STORAGE_POOL_LOOKUP_BY_NAME",
  84,
  { name: string() },
  { pool: storagePool },
  read,
);
export const storagePoolLookupByUuid = procedure(
  "STORAGE_POOL_LOOKUP_BY_UUID",
  85,
  { uuid },
  { pool: storagePool },
  read,
);
export const storagePoolLookupByVolume = procedure(
  "STORAGE_POOL_LOOKUP_BY_VOLUME",
  86,
  { vol: storageVol },
  { pool: storagePool },
  read,
);
export const storagePoolLookupByTargetPath = procedure(
  "STORAGE_POOL_LOOKUP_BY_TARGET_PATH",
  391,
  { path: string() },
  { pool: storagePool },
  read,
);

export const storagePoolDefineXml = procedure(
  "STORAGE_POOL_DEFINE_XML",
  77,
  { xml: string(), flags: uint },
  { pool: storagePool },
  change,
);
/** Makes what the pool stands on: the directory, the volume group, the filesystem. */
export const storagePoolBuild = procedure(
  "STORAGE_POOL_BUILD",
  79,
  { pool: storagePool, flags: uint },
  {},
  change,
);
/** Starts a defined pool. */
export const storagePoolCreate = procedure(
  "STORAGE_POOL_CREATE",
  78,
  { pool: storagePool, flags: uint },
  {},
  change,
);
/** A transient pool. */
export const storagePoolCreateXml = procedure(
  "STORAGE_POOL_CREATE_XML",
  76,
  { xml: string(), flags: uint },
  { pool: storagePool },
  change,
);
export const storagePoolRefresh = procedure(
  "STORAGE_POOL_REFRESH",
  83,
  { pool: storagePool, flags: uint },
  {},
  change,
);
/** Stops it; what is in it stays. */
export const storagePoolDestroy = procedure("STORAGE_POOL_DESTROY", 80, { pool: storagePool }, {}, change);
/** Removes what the pool stands on. */
export const storagePoolDelete = procedure(
  "STORAGE_POOL_DELETE",
  81,
  { pool: storagePool, flags: uint },
  {},
  change,
);
export const storagePoolUndefine = procedure("STORAGE_POOL_UNDEFINE", 82, { pool: storagePool }, {}, change);

export const storagePoolGetXmlDesc = procedure(
  "STORAGE_POOL_GET_XML_DESC",
  88,
  { pool: storagePool, flags: uint },
  { xml: string() },
  read,
);
/** `state` is one of `StoragePoolState`; sizes are bytes. */
export const storagePoolGetInfo = procedure(
  "STORAGE_POOL_GET_INFO",
  87,
  { pool: storagePool },
  { state: uint, capacity: uhyper, allocation: uhyper, available: uhyper },
  read,
);
export const storagePoolIsActive = procedure(
  "STORAGE_POOL_IS_ACTIVE",
  154,
  { pool: storagePool },
  { active: bool },
  read,
);
export const storagePoolIsPersistent = procedure(
  "STORAGE_POOL_IS_PERSISTENT",
  155,
  { pool: storagePool },
  { persistent: bool },
  read,
);
export const storagePoolGetAutostart = procedure(
  "STORAGE_POOL_GET_AUTOSTART",
  89,
  { pool: storagePool },
  { autostart: bool },
  read,
);
export const storagePoolSetAutostart = procedure(
  "STORAGE_POOL_SET_AUTOSTART",
  90,
  { pool: storagePool, autostart: bool },
  {},
  change,
);
