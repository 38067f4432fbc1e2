// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
export const EventHandleType = { READABLE: 1, WRITABLE: 2, ERROR: 4, HANGUP: 8 } as const;
