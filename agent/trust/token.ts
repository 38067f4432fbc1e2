import { SocleError } from "../kernel/errors.ts";

/** What a host enrolls with: by the authority's fingerprint in it, the host knows whom it talks to before it trusts anybody. */
export interface Token {
  /** SHA-256 of the authority's certificate (DER), lower-case hexadecimal. */
  readonly authority: string;
  /** As it was made: the authority knows it again. */
  readonly text: string;
}

/** `socle1.AUTHORITY.SECRET`. Throws `invalid` TOKEN_INVALID, with nothing of the token in the message. */
export function parseToken(text: string): Token {
  const [, authority] = /^socle1\.([0-9a-f]{64})\.[A-Za-z0-9_-]{20,128}$/.exec(text.trim()) ?? [];
  if (authority !== undefined) return { authority, text: text.trim() };
  const message =
    "this is no enrollment token: it looks like socle1.FINGERPRINT.SECRET; ask the scheduler for one";
  throw new SocleError("invalid", "TOKEN_INVALID", message);
}
