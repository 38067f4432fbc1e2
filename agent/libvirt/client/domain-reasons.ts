import * as protocol from "../protocol/index.ts";

/** The reasons of each state of a domain, by the state's name in `DomainState`. */
export const DomainStateReason = {
  NOSTATE: protocol.DomainNostateReason,
  RUNNING: protocol.DomainRunningReason,
  BLOCKED: protocol.DomainBlockedReason,
  PAUSED: protocol.DomainPausedReason,
  SHUTDOWN: protocol.DomainShutdownReason,
  SHUTOFF: protocol.DomainShutoffReason,
  CRASHED: protocol.DomainCrashedReason,
  PMSUSPENDED: protocol.DomainPMSuspendedReason,
} as const;

/** The details of each lifecycle event of a domain, by the event's name in `DomainEventType`. */
export const DomainEventDetail = {
  DEFINED: protocol.DomainEventDefinedDetailType,
  UNDEFINED: protocol.DomainEventUndefinedDetailType,
  STARTED: protocol.DomainEventStartedDetailType,
  SUSPENDED: protocol.DomainEventSuspendedDetailType,
  RESUMED: protocol.DomainEventResumedDetailType,
  STOPPED: protocol.DomainEventStoppedDetailType,
  SHUTDOWN: protocol.DomainEventShutdownDetailType,
  PMSUSPENDED: protocol.DomainEventPMSuspendedDetailType,
  CRASHED: protocol.DomainEventCrashedDetailType,
} as const;
