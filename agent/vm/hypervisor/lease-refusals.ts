import { SocleError } from "../../kernel/errors.ts";
import type { FoundLease } from "./lease-record.ts";

// Errors for a lease that is not held.

/** libvirt was not reached, or did not answer. */
export const isOfTheConnection = ({ kind, details }: SocleError): boolean =>
  details.metadata?.["libvirtCode"] === undefined &&
  ["unavailable", "timeout", "outcome_unknown", "exhausted", "cancelled"].includes(kind);

export const unrecorded = (): SocleError =>
  new SocleError(
    "unavailable",
    "LIBVIRT_UNRESPONSIVE",
    "libvirt did not record the watermark of the state in time",
  );

export const notAskedYet = (): SocleError =>
  new SocleError(
    "unavailable",
    "LIBVIRT_UNAVAILABLE",
    "whether another agent uses libvirt is not known yet; retry, and if it persists check the agent's log",
    { details: { retryAfterMs: 2000 } },
  );

/** The holder's lease is left alone: this agent cannot see which operations of its state are outdated. */
export const unread = (uri: string): string =>
  `the lease of ${uri} is not taken while part of the state cannot be read: see the condition StateUnreadable`;

export function inUse(uri: string, { secret, record: lease }: FoundLease): SocleError {
  const holder =
    lease === undefined
      ? "an agent of another version"
      : `the agent with pid ${lease.process.pid} (PID namespace ${lease.process.namespace}) and state directory ${lease.stateDirectory}`;
  const message =
    `${uri} is controlled by ${holder}: this agent changes nothing there. Stop that agent, and this one takes over; ` +
    `if it is gone for good and this agent cannot see that: virsh -c '${uri}' secret-undefine ${secret.uuid}`;
  const details = { metadata: { lease: secret.uuid, state_directory: lease?.stateDirectory ?? "" } };
  return new SocleError("conflict", "HYPERVISOR_IN_USE", message, { details });
}
