// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
export const DomainQemuMonitorCommandFlags = { DEFAULT: 0, HMP: 1 } as const;
export const DomainQemuAgentCommandTimeoutValues = {
  MIN: -2,
  BLOCK: -2,
  DEFAULT: -1,
  NOWAIT: 0,
  SHUTDOWN: 60,
} as const;
export const ConnectDomainQemuMonitorEventRegisterFlags = { REGEX: 1, NOCASE: 2 } as const;
