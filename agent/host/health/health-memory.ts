import { SocleError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/log.ts";
import type { HealthRecord, SeenLogs } from "../../state/records/health-record.ts";
import { checkRequestId } from "../../state/operations/refusals.ts";
import type { ConditionTable } from "./conditions/condition.ts";
import type { Health } from "./health.ts";
import type { Moment } from "./trigger.ts";

/** Its storage. Setting resolves when it is durable. */
export interface HealthStore {
  readonly health: HealthRecord;
  setHealth(health: HealthRecord): Promise<void>;
}

type Held = Pick<Health<ConditionTable>, "restore" | "latches" | "leftOn" | "seen" | "acknowledge">;

interface HealthMemoryOptions {
  readonly health: Held;
  readonly store: HealthStore;
  readonly now: () => Moment;
  readonly log: Logger;
}

/** Number of request ids kept. Not limited by time: a stepped clock would drop them. */
const MOST_REQUESTS = 1000;

/** Health state that outlives the agent: latches, answered request ids, and log positions. */
export class HealthMemory {
  readonly #options: HealthMemoryOptions;
  readonly #health: Held;
  #requests: HealthRecord["acknowledgements"] = [];
  #seenLogs: SeenLogs = {};
  #isDue = false;
  #bootId = "";
  #seenKept: Held["seen"]["all"];

  constructor(options: HealthMemoryOptions) {
    this.#options = options;
    this.#health = options.health;
    this.#seenKept = options.health.seen.all;
  }

  /** Restores the state of an earlier agent. Call it before the first observation. */
  recall(bootId: string): void {
    const { store, now, log } = this.#options;
    const { latches, leftOn = [], acknowledgements, seen, seenLogs = {} } = store.health;
    this.#seenLogs = seenLogs;
    this.#bootId = bootId;
    if (bootId !== "" && seen?.bootId === bootId) this.#health.seen.restore(seen.names);
    this.#seenKept = this.#health.seen.all;
    this.#requests = acknowledgements;
    for (const { condition, trigger } of this.#health.restore([...latches, ...leftOn], bootId, now()))
      log.warn({ condition, trigger }, "this version has no such condition: its latch is dropped");
  }

  get seen(): Held["seen"] {
    return this.#health.seen;
  }

  get seenLogs(): SeenLogs {
    return this.#seenLogs;
  }

  keepSeen(seen: SeenLogs): void {
    this.#seenLogs = { ...this.#seenLogs, ...seen };
    this.keep();
  }

  /**
   * Stores changed state. Changes of one turn are written together, since a partial record would lose the rest. `retry`
   * repeats a failed write.
   */
  keep(): void {
    this.#isDue = true;
    queueMicrotask(() => void this.retry());
  }

  /** Call it periodically: writes newly seen hardware and retries failed writes. */
  async retry(): Promise<void> {
    if (!this.#isDue && this.#seenKept === this.#health.seen.all) return;
    try {
      await this.#write();
    } catch (thrown) {
      this.#options.log.error({ err: thrown }, "the host's health state is not durable yet");
    }
  }

  /**
   * Durable when it resolves. Throws as Health.acknowledge, `conflict` REQUEST_ID_REUSED, `invalid`
   * REQUEST_ID_INVALID and `unavailable` STATE_UNWRITABLE. A repeated request has no effect.
   */
  async acknowledge(condition: string, requestId: string): Promise<void> {
    checkRequestId(requestId);
    const before = this.#requests.find((request) => request.requestId === requestId);
    if (before === undefined) {
      const at = this.#options.now();
      this.#health.acknowledge(condition, at);
      this.#requests = [...this.#requests, { requestId, condition, atMs: at.wallMs }].slice(-MOST_REQUESTS);
      this.#isDue = true;
    } else if (before.condition !== condition) {
      const message = `request id ${requestId} was used for condition ${before.condition}; use a new id for a new request`;
      throw new SocleError("conflict", "REQUEST_ID_REUSED", message);
    }
    if (this.#isDue) await this.#write();
  }

  async #write(): Promise<void> {
    this.#isDue = false;
    try {
      const { latches, leftOn, seen } = this.#health;
      this.#seenKept = seen.all;
      const names = Object.fromEntries(Object.entries(seen.all).map(([what, all]) => [what, [...all]]));
      await this.#options.store.setHealth({
        latches: [...latches],
        leftOn: [...leftOn],
        acknowledgements: this.#requests,
        seenLogs: this.#seenLogs,
        seen: { bootId: this.#bootId, names },
      });
    } catch (thrown) {
      this.#isDue = true;
      throw thrown;
    }
  }
}
