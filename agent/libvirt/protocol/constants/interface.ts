// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
export const ConnectListAllInterfacesFlags = { INACTIVE: 1, ACTIVE: 2 } as const;
export const InterfaceXMLFlags = { INACTIVE: 1 } as const;
export const InterfaceDefineFlags = { VALIDATE: 1 } as const;
