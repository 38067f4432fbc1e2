/** Snapshots, checkpoints, and backups of a domain. */
import { procedure } from "../rpc/procedure.ts";
import { array, bool, int, optional, string, uint } from "../rpc/xdr.ts";
import { domain, domainCheckpoint, domainSnapshot } from "./objects.ts";

const read = { idempotent: true } as const;

export const domainSnapshotCreateXml = procedure(
  "DOMAIN_SNAPSHOT_CREATE_XML",
  185,
  { dom: domain, xmlDesc: string(), flags: uint },
  { snap: domainSnapshot },
);
export const domainSnapshotGetXmlDesc = procedure(
  "DOMAIN_SNAPSHOT_GET_XML_DESC",
  186,
  { snap: domainSnapshot, flags: uint },
  { xml: string() },
  read,
);
export const domainListAllSnapshots = procedure(
  "DOMAIN_LIST_ALL_SNAPSHOTS",
  274,
  { dom: domain, needResults: bool, flags: uint },
  { snapshots: array(domainSnapshot, 16384), ret: int },
  read,
);
export const domainSnapshotListAllChildren = procedure(
  "DOMAIN_SNAPSHOT_LIST_ALL_CHILDREN",
  275,
  { snap: domainSnapshot, needResults: bool, flags: uint },
  { snapshots: array(domainSnapshot, 16384), ret: int },
  read,
);
export const domainSnapshotLookupByName = procedure(
  "DOMAIN_SNAPSHOT_LOOKUP_BY_NAME",
  189,
  { dom: domain, name: string(), flags: uint },
  { snap: domainSnapshot },
  read,
);
export const domainSnapshotGetParent = procedure(
  "DOMAIN_SNAPSHOT_GET_PARENT",
  244,
  { snap: domainSnapshot, flags: uint },
  { snap: domainSnapshot },
  read,
);
export const domainSnapshotIsCurrent = procedure(
  "DOMAIN_SNAPSHOT_IS_CURRENT",
  271,
  { snap: domainSnapshot, flags: uint },
  { current: bool },
  read,
);
export const domainHasCurrentSnapshot = procedure(
  "DOMAIN_HAS_CURRENT_SNAPSHOT",
  190,
  { dom: domain, flags: uint },
  { result: bool },
  read,
);
export const domainSnapshotCurrent = procedure(
  "DOMAIN_SNAPSHOT_CURRENT",
  191,
  { dom: domain, flags: uint },
  { snap: domainSnapshot },
);
export const domainRevertToSnapshot = procedure(
  "DOMAIN_REVERT_TO_SNAPSHOT",
  192,
  { snap: domainSnapshot, flags: uint },
  {},
);
export const domainSnapshotDelete = procedure(
  "DOMAIN_SNAPSHOT_DELETE",
  193,
  { snap: domainSnapshot, flags: uint },
  {},
);

export const domainCheckpointCreateXml = procedure(
  "DOMAIN_CHECKPOINT_CREATE_XML",
  411,
  { dom: domain, xmlDesc: string(), flags: uint },
  { checkpoint: domainCheckpoint },
);
export const domainCheckpointGetXmlDesc = procedure(
  "DOMAIN_CHECKPOINT_GET_XML_DESC",
  412,
  { checkpoint: domainCheckpoint, flags: uint },
  { xml: string() },
  read,
);
export const domainListAllCheckpoints = procedure(
  "DOMAIN_LIST_ALL_CHECKPOINTS",
  413,
  { dom: domain, needResults: bool, flags: uint },
  { checkpoints: array(domainCheckpoint, 16384), ret: int },
  read,
);
export const domainCheckpointLookupByName = procedure(
  "DOMAIN_CHECKPOINT_LOOKUP_BY_NAME",
  415,
  { dom: domain, name: string(), flags: uint },
  { checkpoint: domainCheckpoint },
  read,
);
export const domainCheckpointGetParent = procedure(
  "DOMAIN_CHECKPOINT_GET_PARENT",
  416,
  { checkpoint: domainCheckpoint, flags: uint },
  { parent: domainCheckpoint },
  read,
);
export const domainCheckpointDelete = procedure(
  "DOMAIN_CHECKPOINT_DELETE",
  417,
  { checkpoint: domainCheckpoint, flags: uint },
  {},
);

// A backup runs as the job of the domain.
export const domainBackupBegin = procedure(
  "DOMAIN_BACKUP_BEGIN",
  421,
  { dom: domain, backupXml: string(), checkpointXml: optional(string()), flags: uint },
  {},
);
export const domainBackupGetXmlDesc = procedure(
  "DOMAIN_BACKUP_GET_XML_DESC",
  422,
  { dom: domain, flags: uint },
  { xml: string() },
  read,
);
