/** The only door to the client. `./xml/index.ts` is the one to libvirt's XML. */
export { connect, type ConnectOptions } from "./client/connect.ts";
export { Libvirt } from "./client/client.ts";
export { Domains, type DefineSettings } from "./client/objects/domains.ts";
export {
  LibvirtDomain,
  type DomainInfo,
  type DomainStateName,
  type MetadataSettings,
} from "./client/objects/domain.ts";
export type { DomainEventKind, ObservedDomainEvent, Subscription } from "./client/objects/domain-events.ts";
export { LibvirtNetwork, Networks, type DhcpLease } from "./client/objects/networks.ts";
export { LibvirtPool, Pools, type PoolInfo } from "./client/objects/pools.ts";
export { LibvirtVolume, type TransferSettings, type VolumeInfo } from "./client/objects/volume.ts";
export type { ActSettings, ListSettings } from "./client/objects/caller.ts";
export type {
  CallSettings,
  Lane,
  LibvirtChange,
  LibvirtOptions,
  LibvirtStatus,
  PinSettings,
  StreamSettings,
} from "./client/options.ts";
export type { CallOutcome, CallTotals } from "./client/call-meter.ts";
export type { Environment } from "./client/locate.ts";
export type { PinnedSession } from "./client/pinned-session.ts";
export { systemClock, type Clock } from "./internal/clock.ts";
export { LibvirtError, type LibvirtErrorDetails, type LibvirtErrorKind } from "./internal/errors.ts";
export type { Distribution } from "./internal/histogram.ts";
export type { Logger } from "./internal/logger.ts";
export type { Subscribable, TopicItem } from "./internal/topic.ts";
export { OutcomeUnknown, type LateReply } from "./rpc/errors.ts";
export type { LibvirtStream } from "./rpc/stream.ts";
export type { DomainEvent, LibvirtEvent, LifecycleEvent, ObjectEvent, ResyncEvent } from "./client/events.ts";
export { allDomainStatsAs, type DomainStatsLists } from "./client/domain-stats.ts";
export { DomainEventDetail, DomainStateReason } from "./client/domain-reasons.ts";
export { flags } from "./rpc/flags.ts";
/** For the procedures of another libvirt: how they are declared, and with which codecs. */
export { event, procedure } from "./rpc/procedure.ts";
export type { EventProcedure, Family, Procedure, ProcedureOptions } from "./rpc/procedure.ts";
export {
  array,
  bool,
  chars,
  double,
  empty,
  fixedOpaque,
  hyper,
  int,
  opaque,
  optional,
  optionalText,
  string,
  struct,
  text,
  typedParameter,
  typedParameters,
  uhyper,
  uint,
  uuid,
} from "./rpc/xdr.ts";
export type { Codec, ParameterLists, TypedParameter, TypedValue, Value } from "./rpc/xdr.ts";
export * from "./protocol/index.ts";
