import { SocleError } from "../kernel/errors.ts";

/** An enrollment token: its fingerprint authenticates the authority before the host trusts any. */
export interface Token {
  /** SHA-256 of the authority's certificate (DER), lower-case hexadecimal. */
  readonly authority: string;
  /** The full text: the authority recognizes it. */
  readonly text: string;
}

/** `socle1.AUTHORITY.SECRET`. Throws `invalid` TOKEN_INVALID, with nothing of the token in the message. */
export function parseToken(text: string): Token {
  const [, authority] = /^socle1\.([0-9a-f]{64})\.[A-Za-z0-9_-]{20,128}$/.exec(text.trim()) ?? [];
  if (authority !== undefined) return { authority, text: text.trim() };
  const message =
    "this is not an enrollment token, which looks like socle1.FINGERPRINT.SECRET; ask the scheduler for one";
  throw new SocleError("invalid", "TOKEN_INVALID", message);
}
