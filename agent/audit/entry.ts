import { randomBytes } from "node:crypto";
import { parseJson } from "../kernel/text/json.ts";
import type { Behalf } from "../state/operations/operation.ts";

/** The caller, as the API identified it. */
export interface Actor extends Behalf {
  readonly name: string;
  readonly role: string;
  /** The tenant that the caller is restricted to. */
  readonly tenant?: string;
  readonly certificateSerial?: string;
  /** `address:port`; absent on the unix socket. */
  readonly peer?: string;
}

export type ActKind =
  /** A mutation that may begin: durable before it does. */
  | "call_admitted"
  /** How it was answered; `of` is its admission. */
  | "call_ended"
  /** A refused call or connection. */
  | "call_refused"
  | "connection_refused"
  | "operation_ended"
  | "agent_started"
  | "agent_stopped"
  | "configuration_reloaded"
  | "certificate_changed"
  /** A scheduler with a higher control epoch took over: durable before that epoch counts. */
  | "control_epoch_raised"
  /** A file of a pool begins as another format than its name means. */
  | "volume_suspicious"
  /** The identity provider's keys, by which people are believed. */
  | "identity_keys_changed"
  /** Calls were refused because the log could not be written; recorded once it can be again. */
  | "log_was_unwritable"
  /** What is missing of the log, as the agent found it at its start. */
  | "log_found_damaged"
  /** Old entries were deleted, by the configured retention. */
  | "segments_dropped"
  | "checkpoint";

/** An act. It must not contain secrets: fields are listed one by one. */
export interface Act {
  readonly act: ActKind;
  readonly caller?: Actor;
  /** `/package.Service/Method`. */
  readonly method?: string;
  readonly requestId?: string;
  /** The VM's id, or the caller's name for an unknown VM. */
  readonly vm?: string;
  /** The tenant of the VM or reservation. */
  readonly tenant?: string;
  readonly arguments?: Readonly<Record<string, string | number | boolean>>;
  /** The sequence of the entry whose outcome this is. */
  readonly of?: number;
  readonly outcome?: "allowed" | "denied" | "refused" | "done" | "failed" | "cancelled";
  readonly reason?: string;
  readonly operation?: string;
  /** Number of further equal acts after a recorded one. */
  readonly times?: number;
  readonly details?: Readonly<Record<string, string | number>>;
}

export interface Entry extends Act {
  /** Identifies the tenant to holders of its proof (mark.ts). Entries older than marks have none. */
  readonly mark?: string;
  /** From 1, without gaps. */
  readonly sequence: number;
  /** RFC 3339, by the host's wall clock. */
  readonly time: string;
  /** 128 random bits: without it, the text could be guessed from an entry's digest. */
  readonly nonce: string;
}

const maxText = 512;

/** An act as the text that is hashed and stored: one line of ASCII JSON. Callers' texts are truncated. */
export function encodeEntry(act: Act, sequence: number, mark: string, nowMs: number): string {
  const nonce = randomBytes(16).toString("base64url");
  const entry = { mark, sequence, time: new Date(nowMs).toISOString(), nonce, ...act } satisfies Entry;
  return ascii(
    JSON.stringify(entry, (_key, value: unknown) => (typeof value === "string" ? cut(value) : value)),
  );
}

/** Undefined for a damaged entry. */
export const entryIn = (json: string): Entry | undefined => parseJson(json) as Entry | undefined;

/** Truncates an entry's texts. */
export const cut = (text: string): string =>
  text.length > maxText ? `${text.slice(0, maxText - 1)}…` : text;

interface EntryFilter {
  /** "": any. */
  readonly tenant: string;
  /** The id or name of a VM; "": any. */
  readonly vm: string;
  readonly sinceMs: number;
  readonly untilMs: number;
}

/** Whether an entry matches the filter; a new VM matches by its name too. */
export function matches(entry: Entry, { tenant, vm, sinceMs, untilMs }: EntryFilter): boolean {
  const timeMs = Date.parse(entry.time);
  return (
    timeMs >= sinceMs &&
    timeMs < untilMs &&
    (tenant === "" || entry.tenant === tenant) &&
    (vm === "" || entry.vm === vm || entry.arguments?.["spec.name"] === vm)
  );
}

/** The same on the entry's text, without parsing it: false only where the entry does not match. */
export function textMatcher({ tenant, vm, sinceMs, untilMs }: EntryFilter): (json: string) => boolean {
  const parts = [
    ...(tenant === "" ? [] : [`"tenant":${ascii(JSON.stringify(tenant))}`]),
    ...(vm === "" ? [] : [ascii(JSON.stringify(vm))]),
  ];
  const isTimed = sinceMs > -Infinity || untilMs < Infinity;
  return (json) => {
    if (!parts.every((part) => json.includes(part))) return false;
    if (!isTimed) return true;
    const timeMs = Date.parse(/"time":"([^"]*)"/.exec(json)?.[1] ?? "");
    return !(timeMs < sinceMs || timeMs >= untilMs);
  };
}

const ascii = (json: string): string =>
  json.replace(/[\u007f-\uffff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
