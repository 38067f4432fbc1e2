import { SocleError } from "../kernel/errors.ts";
import type { TrustServiceHandlers } from "../gen/socle/v1/TrustService.ts";
import type { TrustState } from "../gen/socle/v1/TrustState.ts";
import { toTimestamp } from "./convert-time.ts";
import type { Doors, TrustFacts } from "./doors.ts";
import { mutation, unary, type Methods } from "./handler.ts";

export function trustService({ trust }: Doors): Methods<TrustServiceHandlers> {
  return {
    GetTrust: unary(() => stateToProto(trust.state())),
    EnrollHost: mutation(async ({ address, token }, { signal }) => {
      if (!/^\S+:\d{1,5}$/.test(address)) {
        const fields = { address: "must be ADDRESS:PORT" };
        throw new SocleError("invalid", "REQUEST_INVALID", "address must be ADDRESS:PORT", {
          details: { fields },
        });
      }
      await trust.enroll(address, token, signal);
      return stateToProto(trust.state());
    }),
  };
}

function stateToProto({ domain, material, renewsAtMs, problem }: TrustFacts): TrustState {
  return {
    trustDomain: domain ?? "",
    problem: problem?.message ?? "",
    renewsAt: renewsAtMs === undefined ? null : toTimestamp(renewsAtMs),
    ...(material === undefined
      ? {}
      : {
          identity: material.identity.uri,
          serial: material.serial,
          notBefore: toTimestamp(material.notBeforeMs),
          notAfter: toTimestamp(material.notAfterMs),
          revoked: material.revoked.size,
        }),
  };
}
