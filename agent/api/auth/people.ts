import type { Metadata } from "@grpc/grpc-js";
import type { Config } from "../../config/schema.ts";
import { defined } from "../../kernel/defined.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { Behalf } from "../../state/operations/operation.ts";
import type { Person } from "../../trust/index.ts";
import type { Caller } from "./identity.ts";

/** Metadata of a mutation: the person's signed token, and the reason unless the token has one. */
export const personKey = "socle-person";
export const ticketKey = "socle-ticket";
/** The reason for break-glass at the host's own socket: it is accepted, and reported everywhere. */
export const breakGlassKey = "socle-break-glass";

/** An accepted break-glass mutation. */
export interface BrokenGlass {
  readonly reason: string;
  readonly method: string;
  readonly requestId: string;
}

export interface PersonVerifier {
  readonly rules: Pick<Config["people"], "required" | "requiredOf" | "breakGlass">;
  /** As People.verify. */
  verify(token: string): Person;
  /** Publishes a break-glass use; called once the call is in the audit log. */
  brokeGlass(use: BrokenGlass): void;
}

const maxText = 128;

/**
 * The caller with the person behind the call. A token does not widen the caller's rights. Reads require nothing. Throws as
 * `verify`; `unauthenticated` PERSON_MISSING; `invalid` PERSON_METADATA_INVALID; `denied` BREAK_GLASS_NOT_LOCAL and
 * BREAK_GLASS_FORBIDDEN.
 */
export function actingCaller(people: PersonVerifier, { caller, metadata, isLocal, changes }: Call): Caller {
  const { rules } = people;
  const breakGlass = textOf(metadata, breakGlassKey);
  if (breakGlass !== undefined) requireGlass(rules, isLocal);
  if (!changes) return caller;
  const token = only(metadata, personKey);
  const person = token === undefined ? undefined : people.verify(token);
  if (person === undefined && breakGlass === undefined) requireNone(rules, caller, isLocal);
  const givenTicket = textOf(metadata, ticketKey);
  if (givenTicket !== undefined && person?.ticket !== undefined && givenTicket !== person.ticket)
    throw invalid(ticketKey, "differs from the ticket in the person's token");
  const ticket = person?.ticket ?? givenTicket;
  const behalf: Behalf = defined({ person: person?.name, token: person?.token, ticket, breakGlass });
  if (Object.keys(behalf).length === 0) return caller;
  return { ...caller, role: breakGlass === undefined ? caller.role : "admin", behalf };
}

interface Call {
  readonly caller: Caller;
  readonly metadata: Metadata;
  /** Whether it arrived on the host's own unix socket. */
  readonly isLocal: boolean;
  readonly changes: boolean;
}

function requireGlass({ breakGlass }: PersonVerifier["rules"], isLocal: boolean): void {
  if (!isLocal) {
    const message =
      "break-glass works only on the host's own unix socket; over the network, send a person's token";
    throw new SocleError("denied", "BREAK_GLASS_NOT_LOCAL", message);
  }
  if (breakGlass) return;
  const message = "break-glass is disabled on this host (people.breakGlass): send a person's token";
  throw new SocleError("denied", "BREAK_GLASS_FORBIDDEN", message);
}

/** Throws where this caller needs a person. */
function requireNone(
  { required, requiredOf }: PersonVerifier["rules"],
  { role }: Caller,
  isLocal: boolean,
): void {
  if (required === "off" || (required === "network" && isLocal)) return;
  if (!requiredOf.some((one) => one === role)) return;
  const message = `the role ${role} may make changes only on behalf of a person: send a person's token in the metadata ${personKey}`;
  throw new SocleError("unauthenticated", "PERSON_MISSING", message);
}

/** A text for people and logs: short, printable ASCII, like all metadata. */
function textOf(metadata: Metadata, key: string): string | undefined {
  const text = only(metadata, key);
  if (text === undefined || (text.length <= maxText && /^[!-~]([ -~]*[!-~])?$/.test(text))) return text;
  throw invalid(key, `must be 1 to ${maxText} characters of printable ASCII`);
}

/** Repeated metadata arrives as one value with a comma, which no token has. */
const only = (metadata: Metadata, key: string): string | undefined => metadata.get(key)[0]?.toString();

const invalid = (key: string, what: string): SocleError =>
  new SocleError("invalid", "PERSON_METADATA_INVALID", `the metadata ${key} ${what}`, {
    details: { fields: { [key]: what } },
  });
