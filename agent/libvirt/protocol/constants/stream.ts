// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
export const StreamFlags = { NONBLOCK: 1 } as const;
export const StreamRecvFlagsValues = { STOP_AT_HOLE: 1 } as const;
export const StreamEventType = { READABLE: 1, WRITABLE: 2, ERROR: 4, HANGUP: 8 } as const;
