import { SocleError } from "../../kernel/errors.ts";
import type { PlacementRequest } from "../../contract/spec.ts";
import type { HostSnapshot, NumaCell } from "../host.ts";

/** VM listing: none yet, current, or outdated. */
export type Sight = "none" | "whole" | "lost";

const notRead = "the host's cells have not been read yet";
const notListed = "libvirt has not listed the VMs yet: their resource use is unknown";
const seenLast = "libvirt does not answer: the resource use of VMs is as last seen";

/** Why the capacity is not known completely. */
export function unknownOf(cells: readonly NumaCell[], sight: Sight): string[] {
  const ofVms = { none: notListed, lost: seenLast, whole: undefined }[sight];
  return [cells.length === 0 ? notRead : undefined, ofVms].filter((reason) => reason !== undefined);
}

/** Throws `unavailable` CAPACITY_UNKNOWN before anything can be claimed, `invalid` NO_SUCH_CELL for a cell that the host lacks. */
export function requireKnown(cells: readonly NumaCell[], sight: Sight, { cell }: PlacementRequest): void {
  const unknown = cells.length === 0 ? notRead : sight === "none" ? notListed : undefined;
  if (unknown !== undefined) {
    const message = `${unknown}; try again in a moment`;
    throw new SocleError("unavailable", "CAPACITY_UNKNOWN", message, { details: { retryAfterMs: 1000 } });
  }
  const known = cells.map(({ id }) => id);
  if (cell === undefined || known.includes(cell)) return;
  const message = `this host has no NUMA cell ${cell}; it has ${known.join(", ")}`;
  throw new SocleError("invalid", "NO_SUCH_CELL", message);
}

/** Throws `conflict` HOST_CORDONED on a cordoned host. */
export function requireOpen({ state, reason }: HostSnapshot["scheduling"]): void {
  if (state !== "cordoned") return;
  const why = reason === "" ? "" : ` (${reason})`;
  const message = `this host accepts no new VMs${why}; run socle uncordon to accept them again`;
  throw new SocleError("conflict", "HOST_CORDONED", message);
}
