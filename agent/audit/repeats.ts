import { setMaxListeners } from "node:events";
import type { Clock } from "../kernel/clock.ts";
import { messageBytes } from "../kernel/text/message-bytes.ts";
import type { Act } from "./entry.ts";
import { defined } from "../kernel/defined.ts";

const windowMs = 10_000;
const maxKinds = 1024;
const budgetMs = 60_000;
/** Entries of one caller in `budgetMs`; beyond it acts are only counted, in one entry. */
const budget = { entries: 60, bytes: 64 * 1024 };
const maxCallers = 1024;

interface Kind {
  readonly act: Act;
  unrecorded: number;
}

/** What one caller's repeatable acts used in this window. */
interface Account extends Kind {
  entries: number;
  bytes: number;
}

/**
 * Acts that a caller can repeat at will: the first of a kind (caller, method, reason) is recorded at once, the others are
 * counted. A caller with many kinds has a budget of entries and bytes.
 */
export class Repeats {
  readonly #clock: Clock;
  readonly #record: (act: Act) => void;
  readonly #kinds = new Map<string, Kind>();
  readonly #accounts = new Map<string, Account>();
  readonly #over = new AbortController();

  constructor(clock: Clock, record: (act: Act) => void) {
    this.#clock = clock;
    this.#record = record;
    // One sleep per kind and account listens to it: their number is bounded, and a finished sleep removes its listener.
    setMaxListeners(0, this.#over.signal);
  }

  add(act: Act): void {
    const { caller, method, reason } = act;
    const kind = JSON.stringify([act.act, caller?.name, caller?.peer?.replace(/:\d+$/, ""), method, reason]);
    const known = this.#kinds.get(kind);
    if (known !== undefined) {
      known.unrecorded += 1;
      return;
    }
    const account = this.#accountOf(act);
    // The count may be one more.
    const bytes = 2 * messageBytes(act);
    if (
      account.entries >= budget.entries ||
      account.bytes + bytes > budget.bytes ||
      this.#kinds.size >= maxKinds
    ) {
      account.unrecorded += 1;
      return;
    }
    account.entries += 2;
    account.bytes += bytes;
    this.#record(act);
    const seen = { act, unrecorded: 0 };
    this.#keep(this.#kinds, kind, seen, windowMs);
  }

  /** Records the pending counts. */
  flush(): void {
    const all = [...this.#kinds.values(), ...this.#accounts.values()];
    this.#kinds.clear();
    this.#accounts.clear();
    for (const seen of all) this.#recordRest(seen);
  }

  close(): void {
    this.flush();
    this.#over.abort();
  }

  #accountOf({ act, caller, outcome }: Act): Account {
    const isRoom = this.#accounts.size < maxCallers;
    const name = isRoom || this.#accounts.has(caller?.name ?? "") ? (caller?.name ?? "") : "others";
    const known = this.#accounts.get(name);
    if (known !== undefined) return known;
    const rest: Act = defined({
      act,
      caller: { name, role: name === caller?.name ? caller.role : "none" },
      outcome,
      reason: "OVER_AUDIT_BUDGET",
    });
    const account = { act: rest, unrecorded: 0, entries: 0, bytes: 0 };
    this.#keep(this.#accounts, name, account, budgetMs);
    return account;
  }

  #keep<Seen extends Kind>(map: Map<string, Seen>, key: string, seen: Seen, ms: number): void {
    map.set(key, seen);
    this.#clock.sleep(ms, this.#over.signal).then(
      () => {
        if (map.get(key) !== seen) return;
        map.delete(key);
        this.#recordRest(seen);
      },
      () => undefined,
    );
  }

  #recordRest({ act, unrecorded }: Kind): void {
    if (unrecorded > 0) this.#record({ ...act, times: unrecorded });
  }
}
