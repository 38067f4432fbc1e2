export { newHostKey, proofOf, type HostKey } from "./host-key.ts";
export {
  authorityKeyOf,
  identityOf,
  mayOverrule,
  parseIdentity,
  tenantOfCaller,
  type Identity,
} from "./identity.ts";
export { chainOf, peerOf, requireValid, type Material, type Peer, type PeerRules } from "./material.ts";
export { People } from "./people.ts";
export type { Person } from "./person-token.ts";
export { Trust } from "./trust.ts";
export { files } from "./trust-files.ts";
export { RevocationGuard } from "./revocation-guard.ts";
export { serialOf, type ListTimes } from "./revocation.ts";
export { fingerprintOf, type TrustTexts } from "./trust-set.ts";
export { parseToken, type Token } from "./token.ts";
