import { SocleError } from "../../kernel/errors.ts";
import type { FoundLease } from "./lease-record.ts";

// Why the lease of a libvirt is not held.

/** libvirt was not reached, or did not answer. */
export const isOfTheConnection = ({ kind, details }: SocleError): boolean =>
  details.metadata?.["libvirtCode"] === undefined &&
  ["unavailable", "timeout", "outcome_unknown", "exhausted", "cancelled"].includes(kind);

export const unrecorded = (): SocleError =>
  new SocleError(
    "unavailable",
    "LIBVIRT_UNRESPONSIVE",
    "libvirt does not record the watermark of the state in time",
  );

export const notAskedYet = (): SocleError =>
  new SocleError(
    "unavailable",
    "LIBVIRT_UNAVAILABLE",
    "libvirt has not said yet whether another agent uses it; retry, and where that lasts see the agent's log",
    { details: { retryAfterMs: 2000 } },
  );

/** The holder's lease stays as it is: which operations of this state it outdates cannot be seen. */
export const unread = (uri: string): string =>
  `the lease of ${uri} is not taken while a part of the state cannot be read: see the condition StateUnreadable`;

export function inUse(uri: string, { secret, record: lease }: FoundLease): SocleError {
  const holder =
    lease === undefined
      ? "an agent of another version"
      : `the agent with pid ${lease.process.pid} (PID namespace ${lease.process.namespace}) and state directory ${lease.stateDirectory}`;
  const message =
    `${uri} is driven by ${holder}: this agent changes nothing there. Stop that agent, and this one goes on by itself; ` +
    `where it is gone for good and that cannot be seen from here: virsh -c '${uri}' secret-undefine ${secret.uuid}`;
  const details = { metadata: { lease: secret.uuid, state_directory: lease?.stateDirectory ?? "" } };
  return new SocleError("conflict", "HYPERVISOR_IN_USE", message, { details });
}
