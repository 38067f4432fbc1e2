// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
export const NWFilterDefineFlags = { NWFILTER_DEFINE_VALIDATE: 1 } as const;
export const NWFilterBindingCreateFlags = { NWFILTER_BINDING_CREATE_VALIDATE: 1 } as const;
