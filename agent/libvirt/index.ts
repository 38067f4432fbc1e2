/** The only door to the client. `./xml/index.ts` is the one to libvirt's XML. */
export {
  Libvirt,
  type CallSettings,
  type Lane,
  type LibvirtChange,
  type LibvirtOptions,
  type LibvirtStatus,
} from "./client.ts";
export type { CallOutcome, CallTotals } from "./call-meter.ts";
export type { Environment } from "./locate.ts";
export { OutcomeUnknown, type LateReply } from "./errors.ts";
export type { LibvirtStream } from "./stream.ts";
export type { DomainEvent, LibvirtEvent, LifecycleEvent, ObjectEvent, ResyncEvent } from "./events.ts";
export { event, procedure, type EventProcedure, type Family, type Procedure } from "./procedure.ts";
export type { ParameterLists, TypedParameter, TypedValue, Value } from "./xdr.ts";
export * from "./protocol/index.ts";
