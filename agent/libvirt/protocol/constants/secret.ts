// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
export const SecretUsageType = { NONE: 0, VOLUME: 1, CEPH: 2, ISCSI: 3, TLS: 4, VTPM: 5 } as const;
export const ConnectListAllSecretsFlags = {
  EPHEMERAL: 1,
  NO_EPHEMERAL: 2,
  PRIVATE: 4,
  NO_PRIVATE: 8,
} as const;
export const SecretDefineFlags = { VALIDATE: 1 } as const;
export const SecretEventID = { LIFECYCLE: 0, VALUE_CHANGED: 1 } as const;
export const SecretEventLifecycleType = { DEFINED: 0, UNDEFINED: 1 } as const;
