export { newHostKey, proofOf, type HostKey } from "./host-key.ts";
export { identityOf, mayOverrule, parseIdentity, tenantOfCaller, type Identity } from "./identity.ts";
export { files, peerOf, requireValid, type Material, type Peer } from "./material.ts";
export { People } from "./people.ts";
export type { Person } from "./person-token.ts";
export { Trust } from "./trust.ts";
export { parseToken, type Token } from "./token.ts";
