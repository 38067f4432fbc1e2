import type { Metadata } from "@grpc/grpc-js";
import type { Config } from "../../config/schema.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { Behalf } from "../../state/operations/operation.ts";
import type { Person } from "../../trust/index.ts";
import type { Caller } from "./identity.ts";

/** The metadata of a call that changes something: the person's signed token, and why, where the token does not say. */
export const personKey = "socle-person";
export const ticketKey = "socle-ticket";
/** Why somebody at the host's own socket acts without being known: it gets through, and is told to all. */
export const breakGlassKey = "socle-break-glass";

/** A change by break-glass that was let in. */
export interface BrokenGlass {
  readonly reason: string;
  readonly method: string;
  readonly requestId: string;
}

export interface PeopleDoor {
  readonly rules: Pick<Config["people"], "required" | "requiredOf" | "breakGlass">;
  /** As People.verify. */
  verify(token: string): Person;
  /** Tells whoever is to know; called once the call is in the audit log. */
  brokeGlass(use: BrokenGlass): void;
}

const maxText = 128;

/**
 * The caller with the person that stands behind the call. A person's word does not widen what the caller may do. Where
 * nothing is changed, nothing is asked. Throws what `verify` throws; `unauthenticated` PERSON_MISSING; `invalid`
 * PEOPLE_METADATA_INVALID; `denied` BREAK_GLASS_NOT_LOCAL and BREAK_GLASS_FORBIDDEN.
 */
export function actingCaller(people: PeopleDoor, { caller, metadata, isLocal, changes }: Call): Caller {
  const { rules } = people;
  const breakGlass = textOf(metadata, breakGlassKey);
  if (breakGlass !== undefined) requireGlass(rules, isLocal);
  if (!changes) return caller;
  const token = only(metadata, personKey);
  const person = token === undefined ? undefined : people.verify(token);
  if (person === undefined && breakGlass === undefined) requireNone(rules, caller, isLocal);
  const said = textOf(metadata, ticketKey);
  if (said !== undefined && person?.ticket !== undefined && said !== person.ticket)
    throw invalid(ticketKey, "is another ticket than the one in the person's token");
  const ticket = person?.ticket ?? said;
  const behalf: Behalf = {
    ...(person === undefined ? {} : { person: person.name, token: person.token }),
    ...(ticket === undefined ? {} : { ticket }),
    ...(breakGlass === undefined ? {} : { breakGlass }),
  };
  if (Object.keys(behalf).length === 0) return caller;
  return { ...caller, ...(breakGlass === undefined ? {} : { role: "admin" }), behalf };
}

interface Call {
  readonly caller: Caller;
  readonly metadata: Metadata;
  /** On the host's own unix socket. */
  readonly isLocal: boolean;
  readonly changes: boolean;
}

function requireGlass({ breakGlass }: PeopleDoor["rules"], isLocal: boolean): void {
  if (!isLocal) {
    const message = "break-glass is for the host's own unix socket alone; over the network, say who you are";
    throw new SocleError("denied", "BREAK_GLASS_NOT_LOCAL", message);
  }
  if (breakGlass) return;
  const message = "this host takes no break-glass (people.breakGlass): say who you are by a person's token";
  throw new SocleError("denied", "BREAK_GLASS_FORBIDDEN", message);
}

/** Throws where this caller may not act without a person. */
function requireNone(
  { required, requiredOf }: PeopleDoor["rules"],
  { role }: Caller,
  isLocal: boolean,
): void {
  if (required === "off" || (required === "network" && isLocal)) return;
  if (!requiredOf.some((one) => one === role)) return;
  const message = `the role ${role} may change things here on behalf of a person alone: send a person's token in the metadata ${personKey}`;
  throw new SocleError("unauthenticated", "PERSON_MISSING", message);
}

/** A text for people and logs: short, printable ASCII, as metadata is. */
function textOf(metadata: Metadata, key: string): string | undefined {
  const text = only(metadata, key);
  if (text === undefined || (text.length <= maxText && /^[!-~]([ -~]*[!-~])?$/.test(text))) return text;
  throw invalid(key, `must be 1 to ${maxText} characters of printable ASCII`);
}

/** What is said twice comes as one value, with a comma that no token has. */
const only = (metadata: Metadata, key: string): string | undefined => metadata.get(key)[0]?.toString();

const invalid = (key: string, what: string): SocleError =>
  new SocleError("invalid", "PEOPLE_METADATA_INVALID", `the metadata ${key} ${what}`, {
    details: { fields: { [key]: what } },
  });
