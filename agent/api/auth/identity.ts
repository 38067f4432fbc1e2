import type { Behalf } from "../../state/operations/operation.ts";
import type { Role } from "../../contract/methods.ts";

/** Who calls. `name` stands in operations and in the log, and is part of what makes a request id the same. */
export interface Caller {
  readonly name: string;
  readonly role: Role | "none";
  /** Whose VMs alone the caller has to do with; undefined: everybody's. */
  readonly tenant?: string;
  readonly certificateSerial?: string;
  readonly behalf?: Behalf;
}

/** The owner of the bounds that a caller counts against: its tenant, however many certificates that has, else itself. */
export const accountOf = ({ name, tenant }: Pick<Caller, "name" | "tenant">): string =>
  tenant === undefined ? name : `tenant ${tenant}`;

/** Finds out who calls from the call's peer (`address:port`; nothing useful on a unix socket). */
export type Identify = (call: { getPeer(): string }) => Caller;

/** May do nothing. */
export const nobody: Caller = { name: "nobody", role: "none" };

export const operator: Caller = { name: "unix:operator", role: "operator" };

/** Whoever may open the unix socket is the host's operator: its directory's mode decides who that is. */
export const identifyOnSocket: Identify = () => operator;

/** Who comes from an address of this machine. */
export const loopbackCaller = (address: string): Caller => ({ name: `tcp:${address}`, role: "scheduler" });

/**
 * On loopback TCP, which has no certificates: a scheduler (or a tunnel to one) on this machine. Its port changes with
 * every connection and is left out, so that a repeated request is known again.
 */
export const identifyOnLoopback: Identify = (call) => {
  const peer = call.getPeer();
  const port = peer.lastIndexOf(":");
  return loopbackCaller(port < 0 ? peer : peer.slice(0, port));
};
