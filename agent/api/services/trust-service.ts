import { invalidField } from "../../kernel/errors.ts";
import type { TrustServiceHandlers } from "../../gen/socle/v1/TrustService.ts";
import type { TrustState } from "../../gen/socle/v1/TrustState.ts";
import { fingerprintOf } from "../../trust/index.ts";
import { toTimestamp } from "../convert/time.ts";
import type { ServiceDependencies, TrustFacts } from "./dependencies.ts";
import type { Methods } from "./handler.ts";

export const trustService = ({ trust }: ServiceDependencies): Methods<TrustServiceHandlers> => ({
  GetTrust: () => stateToProto(trust.state()),
  EnrollHost: async ({ address, token, authorityFingerprint }, { signal }) => {
    if (!/^\S+:\d{1,5}$/.test(address))
      throw invalidField("REQUEST_INVALID", "address", "must be ADDRESS:PORT");
    const fingerprint = authorityFingerprint.replaceAll(":", "").toLowerCase();
    if (!/^([0-9a-f]{64})?$/.test(fingerprint))
      throw invalidField(
        "REQUEST_INVALID",
        "authority_fingerprint",
        "must be a SHA-256 in hexadecimal, 64 digits",
      );
    await trust.enroll(address, token, fingerprint === "" ? null : fingerprint, signal);
    return stateToProto(trust.state());
  },
});

const stateToProto = ({ domain, insecureListen, material, renewsAtMs, problem }: TrustFacts): TrustState => ({
  trustDomain: domain ?? "",
  insecureListen: insecureListen ?? "",
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
        authorityFingerprints: material.roots.map(fingerprintOf),
        revocationsExpireAt:
          material.revocationsUntilMs === undefined ? null : toTimestamp(material.revocationsUntilMs),
      }),
});
