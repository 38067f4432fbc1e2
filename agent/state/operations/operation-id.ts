import { randomBytes } from "node:crypto";

const YEAR_MS = 366 * 86_400_000;
const versionSeven = /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[\da-f]{4}-[\da-f]{12}$/;

const timeOf = (id: string): number => Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);

/**
 * UUIDs of version 7 (RFC 9562): 48 bits of milliseconds, 12 of counter, 62 random. They sort by creation time, and
 * those of one source strictly by creation order, whatever the wall clock does.
 */
export class OperationIds {
  readonly #now: () => number;
  #lastMs = 0;
  #counter = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  next(): string {
    const nowMs = Math.floor(this.#now());
    if (nowMs > this.#lastMs) {
      this.#lastMs = nowMs;
      this.#counter = 0;
    } else if ((this.#counter += 1) > 0xfff) {
      this.#lastMs += 1;
      this.#counter = 0;
    }
    const time = this.#lastMs.toString(16).padStart(12, "0");
    const counter = this.#counter.toString(16).padStart(3, "0");
    const random = randomBytes(8);
    random.writeUInt8((random.readUInt8(0) & 0x3f) | 0x80, 0);
    const tail = random.toString("hex");
    return `${time.slice(0, 8)}-${time.slice(8)}-7${counter}-${tail.slice(0, 4)}-${tail.slice(4)}`;
  }

  /**
   * As startAfter, for an id from outside the state directory, which may have lost newer ones. An id more than a year
   * ahead is no agent's id, and is ignored.
   */
  startAfterSeen(id: string): void {
    const isPlausible = versionSeven.test(id) && timeOf(id) <= this.#now() + YEAR_MS;
    if (isPlausible) this.startAfter(id);
  }

  /** Every later id sorts after this one: for ids read back after a restart. */
  startAfter(id: string): void {
    const ms = timeOf(id);
    if (ms < this.#lastMs || Number.isNaN(ms)) return;
    this.#lastMs = ms;
    this.#counter = 0xfff;
  }
}
