import { hash, randomBytes } from "node:crypto";
import type { Clock } from "../../kernel/clock.ts";
import { SocleError } from "../../kernel/errors.ts";

const VALID_MS = 30_000;
/** Of one holder: a caller and a VM. */
const MOST_VALID = 16;

/** Who may use a ticket, and for which run of which VM's identity. */
export interface TicketHolder {
  readonly caller: string;
  readonly vmId: string;
  /** A VM that is made again with the same id is another one. */
  readonly instance: string | undefined;
}

interface Ticket {
  readonly holder: string;
  readonly untilMs: number;
}

/** Tickets for screens, in memory: each is valid for a moment, once, for its holder. Only their hashes are kept. */
export class ScreenTickets {
  readonly #clock: Pick<Clock, "now" | "monotonicMs">;
  /** By hash, the oldest first. */
  readonly #valid = new Map<string, Ticket>();

  constructor(clock: Pick<Clock, "now" | "monotonicMs">) {
    this.#clock = clock;
  }

  /** Throws `exhausted` SCREEN_TICKETS_EXHAUSTED. */
  make(of: TicketHolder): { readonly ticket: string; readonly expiresAtMs: number } {
    this.#forgetExpired();
    const holder = keyOf(of);
    if ([...this.#valid.values()].filter((each) => each.holder === holder).length >= MOST_VALID) {
      const message = `this caller has ${MOST_VALID} unused tickets for the VM's screen; each expires after ${VALID_MS / 1000} s`;
      throw new SocleError("exhausted", "SCREEN_TICKETS_EXHAUSTED", message, {
        details: { retryAfterMs: VALID_MS },
      });
    }
    const ticket = randomBytes(32).toString("base64url");
    this.#valid.set(hash("sha256", ticket), { holder, untilMs: this.#clock.monotonicMs() + VALID_MS });
    return { ticket, expiresAtMs: this.#clock.now() + VALID_MS };
  }

  /** Takes the ticket, also one that is refused: `denied` SCREEN_TICKET_INVALID. */
  redeem(ticket: string, of: TicketHolder): void {
    this.#forgetExpired();
    const key = hash("sha256", ticket);
    const found = this.#valid.get(key);
    this.#valid.delete(key);
    if (found?.holder === keyOf(of)) return;
    const message =
      "the ticket is not valid for this caller and VM: it is unknown, was used, or has expired; request another one";
    throw new SocleError("denied", "SCREEN_TICKET_INVALID", message);
  }

  #forgetExpired(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const [key, { untilMs }] of this.#valid) {
      if (untilMs > nowMs) break;
      this.#valid.delete(key);
    }
  }
}

const keyOf = ({ caller, vmId, instance = "" }: TicketHolder): string =>
  JSON.stringify([caller, vmId, instance]);
