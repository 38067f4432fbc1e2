/** Numbers of libvirt's headers about everything but domains and events; VIR_ and the common prefix left out. */

/**
 * Flags together, as the unsigned number the wire takes: JavaScript's own `|` turns negative at the highest bit, which
 * libvirt uses.
 */
export function flags(...bits: readonly number[]): number {
  return bits.reduce((all, bit) => all | bit, 0) >>> 0;
}

/** Among the flags of a procedure that gets parameters; without it those with a text for a value are left out. */
export const TypedParameterFlag = { STRING_OKAY: 4 } as const;

/** remote_auth_type of remote_protocol.x. */
export const AuthType = { NONE: 0, SASL: 1, POLKIT: 2 } as const;

/** VIR_DRV_FEATURE_* of libvirt_internal.h that a client asks about. */
export const DriverFeature = {
  MIGRATION_P2P: 4,
  MIGRATION_V3: 6,
  PROGRAM_KEEPALIVE: 10,
  MIGRATION_OFFLINE: 12,
  MIGRATION_PARAMS: 13,
  REMOTE_EVENT_CALLBACK: 14,
  REMOTE_CLOSE_CALLBACK: 15,
  NETWORK_UPDATE_HAS_CORRECT_ORDER: 16,
} as const;

export const ConnectFlag = {
  RO: 1,
} as const;

export const CpuCompare = {
  INCOMPATIBLE: 0,
  IDENTICAL: 1,
  SUPERSET: 2,
} as const;

export const CpuBaselineFlag = {
  EXPAND_FEATURES: 1,
  MIGRATABLE: 2,
} as const;

export const AllocPagesFlag = {
  ADD: 0,
  SET: 1,
} as const;

export const NodeDeviceListFlag = {
  CAP_SYSTEM: 1,
  CAP_PCI_DEV: 2,
  CAP_USB_DEV: 4,
  CAP_USB_INTERFACE: 8,
  CAP_NET: 16,
  CAP_SCSI_HOST: 32,
  CAP_SCSI_TARGET: 64,
  CAP_SCSI: 128,
  CAP_STORAGE: 0x100,
  CAP_FC_HOST: 0x200,
  CAP_VPORTS: 0x400,
  CAP_SCSI_GENERIC: 0x800,
  CAP_DRM: 0x1000,
  CAP_MDEV_TYPES: 0x2000,
  CAP_MDEV: 0x4000,
  CAP_CCW_DEV: 0x8000,
  CAP_CSS_DEV: 0x10000,
  CAP_VDPA: 0x20000,
  CAP_AP_CARD: 0x40000,
  CAP_AP_QUEUE: 0x80000,
  CAP_AP_MATRIX: 0x100000,
  CAP_VPD: 0x200000,
  CAP_CCWGROUP_DEV: 0x400000,
  CAP_CCWGROUP_MEMBER: 0x800000,
  PERSISTENT: 0x10000000,
  TRANSIENT: 0x20000000,
  INACTIVE: 0x40000000,
  ACTIVE: 0x80000000,
} as const;

export const StoragePoolState = {
  INACTIVE: 0,
  BUILDING: 1,
  RUNNING: 2,
  DEGRADED: 3,
  INACCESSIBLE: 4,
} as const;

export const StoragePoolListFlag = {
  INACTIVE: 1,
  ACTIVE: 2,
  PERSISTENT: 4,
  TRANSIENT: 8,
  AUTOSTART: 16,
  NO_AUTOSTART: 32,
  DIR: 64,
  FS: 128,
  NETFS: 0x100,
  LOGICAL: 0x200,
  DISK: 0x400,
  ISCSI: 0x800,
  SCSI: 0x1000,
  MPATH: 0x2000,
  RBD: 0x4000,
  SHEEPDOG: 0x8000,
  GLUSTER: 0x10000,
  ZFS: 0x20000,
  VSTORAGE: 0x40000,
  ISCSI_DIRECT: 0x80000,
} as const;

export const StoragePoolBuildFlag = {
  NEW: 0,
  REPAIR: 1,
  RESIZE: 2,
  NO_OVERWRITE: 4,
  OVERWRITE: 8,
} as const;

export const StoragePoolCreateFlag = {
  NORMAL: 0,
  WITH_BUILD: 1,
  WITH_BUILD_OVERWRITE: 2,
  WITH_BUILD_NO_OVERWRITE: 4,
} as const;

export const StoragePoolDeleteFlag = {
  NORMAL: 0,
  ZEROED: 1,
} as const;

export const StorageXmlFlag = {
  INACTIVE: 1,
} as const;

export const StorageVolType = {
  FILE: 0,
  BLOCK: 1,
  DIR: 2,
  NETWORK: 3,
  NETDIR: 4,
  PLOOP: 5,
} as const;

export const StorageVolCreateFlag = {
  PREALLOC_METADATA: 1,
  REFLINK: 2,
  VALIDATE: 4,
} as const;

export const StorageVolDeleteFlag = {
  NORMAL: 0,
  ZEROED: 1,
  WITH_SNAPSHOTS: 2,
} as const;

export const StorageVolResizeFlag = {
  ALLOCATE: 1,
  DELTA: 2,
  SHRINK: 4,
} as const;

export const StorageVolWipeAlgorithm = {
  ZERO: 0,
  NNSA: 1,
  DOD: 2,
  BSI: 3,
  GUTMANN: 4,
  SCHNEIER: 5,
  PFITZNER7: 6,
  PFITZNER33: 7,
  RANDOM: 8,
  TRIM: 9,
} as const;

export const StorageVolInfoFlag = {
  USE_ALLOCATION: 0,
  GET_PHYSICAL: 1,
} as const;

export const StorageVolUploadFlag = {
  SPARSE_STREAM: 1,
} as const;

export const StorageVolDownloadFlag = {
  SPARSE_STREAM: 1,
} as const;

export const NetworkListFlag = {
  INACTIVE: 1,
  ACTIVE: 2,
  PERSISTENT: 4,
  TRANSIENT: 8,
  AUTOSTART: 16,
  NO_AUTOSTART: 32,
} as const;

export const NetworkXmlFlag = {
  INACTIVE: 1,
} as const;

export const NetworkDefineFlag = {
  VALIDATE: 1,
} as const;

export const NetworkUpdateCommand = {
  NONE: 0,
  MODIFY: 1,
  DELETE: 2,
  ADD_LAST: 3,
  ADD_FIRST: 4,
} as const;

export const NetworkUpdateSection = {
  NONE: 0,
  BRIDGE: 1,
  DOMAIN: 2,
  IP: 3,
  IP_DHCP_HOST: 4,
  IP_DHCP_RANGE: 5,
  FORWARD: 6,
  FORWARD_INTERFACE: 7,
  FORWARD_PF: 8,
  PORTGROUP: 9,
  DNS_HOST: 10,
  DNS_TXT: 11,
  DNS_SRV: 12,
} as const;

export const NetworkUpdateFlag = {
  AFFECT_CURRENT: 0,
  AFFECT_LIVE: 1,
  AFFECT_CONFIG: 2,
} as const;

export const IpAddressType = {
  IPV4: 0,
  IPV6: 1,
} as const;

export const NetworkPortCreateFlag = {
  RECLAIM: 1,
  VALIDATE: 2,
} as const;

export const InterfaceListFlag = {
  INACTIVE: 1,
  ACTIVE: 2,
} as const;

export const SecretUsage = {
  NONE: 0,
  VOLUME: 1,
  CEPH: 2,
  ISCSI: 3,
  TLS: 4,
  VTPM: 5,
} as const;

export const SecretListFlag = {
  EPHEMERAL: 1,
  NO_EPHEMERAL: 2,
  PRIVATE: 4,
  NO_PRIVATE: 8,
} as const;
