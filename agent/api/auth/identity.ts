import type { Behalf } from "../../state/operations/operation.ts";
import type { Role } from "../../contract/methods.ts";

/** A caller. `name` is shown in operations and the log, and is part of a request id's scope. */
export interface Caller {
  readonly name: string;
  readonly role: Role | "none";
  /** Restricts the caller to this tenant's VMs; undefined: all tenants. */
  readonly tenant?: string;
  readonly certificateSerial?: string;
  readonly behalf?: Behalf;
}

/** The account that limits are charged to: the tenant, over all its certificates, else the caller. */
export const accountOf = ({ name, tenant }: Pick<Caller, "name" | "tenant">): string =>
  tenant === undefined ? name : `tenant ${tenant}`;

/** Identifies the caller by the call's peer (`address:port`; nothing useful on a unix socket). */
export type Identify = (call: { getPeer(): string }) => Caller;

/** A caller without any rights. */
export const noCaller: Caller = { name: "nobody", role: "none" };

export const operator: Caller = { name: "unix:operator", role: "operator" };

/** A caller on the unix socket is the host's operator: the directory's mode restricts access. */
export const identifyOnSocket: Identify = () => operator;

/** A caller on a loopback address. */
export const loopbackCaller = (address: string): Caller => ({ name: `tcp:${address}`, role: "scheduler" });

/**
 * On loopback TCP, which has no certificates: a scheduler (or a tunnel to one) on this machine. Its port changes with
 * every connection and is left out, so that a retried request matches.
 */
export const identifyOnLoopback: Identify = (call) => {
  const peer = call.getPeer();
  const port = peer.lastIndexOf(":");
  return loopbackCaller(port < 0 ? peer : peer.slice(0, port));
};
