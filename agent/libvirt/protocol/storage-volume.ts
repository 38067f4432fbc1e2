import { procedure } from "../rpc/procedure.ts";
import { array, bool, int, string, uhyper, uint } from "../rpc/xdr.ts";
import { storagePool, storageVol } from "./objects.ts";

const read = { family: "storage", idempotent: true } as const;
const change = { family: "storage" } as const;

export const storagePoolListAllVolumes = procedure(
  "STORAGE_POOL_LIST_ALL_VOLUMES",
  282,
  { pool: storagePool, needResults: bool, flags: uint },
  { vols: array(storageVol, 16384), ret: uint },
  read,
);
export const storageVolLookupByName = procedure(
  "STORAGE_VOL_LOOKUP_BY_NAME",
  95,
  { pool: storagePool, name: string() },
  { vol: storageVol },
  read,
);
export const storageVolLookupByKey = procedure(
  "STORAGE_VOL_LOOKUP_BY_KEY",
  96,
  { key: string() },
  { vol: storageVol },
  read,
);
export const storageVolLookupByPath = procedure(
  "STORAGE_VOL_LOOKUP_BY_PATH",
  97,
  { path: string() },
  { vol: storageVol },
  read,
);

export const storageVolCreateXml = procedure(
  "STORAGE_VOL_CREATE_XML",
  93,
  { pool: storagePool, xml: string(), flags: uint },
  { vol: storageVol },
  change,
);
export const storageVolCreateXmlFrom = procedure(
  "STORAGE_VOL_CREATE_XML_FROM",
  125,
  { pool: storagePool, xml: string(), clonevol: storageVol, flags: uint },
  { vol: storageVol },
  change,
);
export const storageVolResize = procedure(
  "STORAGE_VOL_RESIZE",
  260,
  { vol: storageVol, capacity: uhyper, flags: uint },
  {},
  change,
);
export const storageVolWipe = procedure(
  "STORAGE_VOL_WIPE",
  165,
  { vol: storageVol, flags: uint },
  {},
  change,
);
/** `algorithm` is one of `StorageVolWipeAlgorithm`. */
export const storageVolWipePattern = procedure(
  "STORAGE_VOL_WIPE_PATTERN",
  259,
  { vol: storageVol, algorithm: uint, flags: uint },
  {},
  change,
);
export const storageVolDelete = procedure(
  "STORAGE_VOL_DELETE",
  94,
  { vol: storageVol, flags: uint },
  {},
  change,
);

export const storageVolGetXmlDesc = procedure(
  "STORAGE_VOL_GET_XML_DESC",
  99,
  { vol: storageVol, flags: uint },
  { xml: string() },
  read,
);
export const storageVolGetPath = procedure(
  "STORAGE_VOL_GET_PATH",
  100,
  { vol: storageVol },
  { path: string() },
  read,
);
/** Bytes. */
export const storageVolGetInfo = procedure(
  "STORAGE_VOL_GET_INFO",
  98,
  { vol: storageVol },
  { type: int, capacity: uhyper, allocation: uhyper },
  read,
);
export const storageVolGetInfoFlags = procedure(
  "STORAGE_VOL_GET_INFO_FLAGS",
  378,
  { vol: storageVol, flags: uint },
  { type: int, capacity: uhyper, allocation: uhyper },
  read,
);

// Streams. `length` 0 means to the end.
export const storageVolUpload = procedure(
  "STORAGE_VOL_UPLOAD",
  208,
  { vol: storageVol, offset: uhyper, length: uhyper, flags: uint },
  {},
  { ...change, stream: "write" },
);
export const storageVolDownload = procedure(
  "STORAGE_VOL_DOWNLOAD",
  209,
  { vol: storageVol, offset: uhyper, length: uhyper, flags: uint },
  {},
  { ...read, stream: "read" },
);
