import type { Listing } from "../../host/host.ts";
import type { Observation } from "../../gen/socle/v1/Observation.ts";
import { toTimestamp } from "./time.ts";
import { presences } from "./vm.ts";

/** Of a pool or network; undefined: libvirt listed it, and has not answered for it. */
export const observationOf = (
  item: { readonly presence: "present" | "unknown"; readonly observedAtMs: number } | undefined,
): Observation =>
  item === undefined
    ? { presence: presences.toProto("unknown"), observedAt: null }
    : { presence: presences.toProto(item.presence), observedAt: toTimestamp(item.observedAtMs) };

/** Of a whole list. */
export const listObservation = ({
  complete,
  observedAtMs,
}: Pick<Listing<unknown>, "complete" | "observedAtMs">): Observation => ({
  presence: presences.toProto(complete ? "present" : "unknown"),
  observedAt: observedAtMs === undefined ? null : toTimestamp(observedAtMs),
});
