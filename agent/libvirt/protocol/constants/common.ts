// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
export const ConnectCloseReason = { ERROR: 0, EOF: 1, KEEPALIVE: 2, CLIENT: 3 } as const;
export const TypedParameterType = {
  INT: 1,
  UINT: 2,
  LLONG: 3,
  ULLONG: 4,
  DOUBLE: 5,
  BOOLEAN: 6,
  STRING: 7,
} as const;
export const TypedParameterFlags = { PARAM_STRING_OKAY: 4 } as const;
