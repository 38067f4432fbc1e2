import { formatBytes, formatDuration, printable } from "../format.ts";
import type { Session } from "../session.ts";

const REPAINT_MS = 200;
const BAR_CELLS = 20;

/** How many bytes of a known number have passed: a live line on a terminal, else a line at the end; nothing with --json. */
export class ByteProgress {
  readonly #session: Session;
  readonly #what: string;
  readonly #total: number;
  readonly #sinceMs = performance.now();
  readonly #live: boolean;
  readonly #timer: NodeJS.Timeout | undefined;
  #done = 0;

  constructor(session: Session, what: string, total: number) {
    this.#session = session;
    this.#what = printable(what);
    this.#total = total;
    this.#live = session.io.stderr.isTTY === true && session.io.env.TERM !== "dumb" && !session.json;
    if (this.#live) this.#timer = setInterval(() => this.#paint(), REPAINT_MS);
    this.#timer?.unref();
  }

  add(bytes: number): void {
    this.#done += bytes;
  }

  /** Passes the chunks on. */
  async *count(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
    for await (const chunk of chunks) {
      this.add(chunk.length);
      yield chunk;
    }
  }

  end(isDone: boolean): void {
    clearInterval(this.#timer);
    if (this.#session.json) return;
    const clear = this.#live ? "\r\u001b[K" : "";
    const took = formatDuration(performance.now() - this.#sinceMs);
    const outcome = this.#session.paintNote("green", "done  ");
    const line = isDone ? `  ${outcome} ${this.#what}  ${formatBytes(this.#done)}  ${took}\n` : "";
    if (clear !== "" || line !== "") this.#session.io.stderr.write(`${clear}${line}`);
  }

  #paint(): void {
    const part = this.#total === 0 ? 1 : Math.min(1, this.#done / this.#total);
    const cells = Math.round(part * BAR_CELLS);
    const bar = `[${"#".repeat(cells)}${"-".repeat(BAR_CELLS - cells)}] ${Math.floor(part * 100)}%`;
    const elapsedMs = performance.now() - this.#sinceMs;
    const perMs = this.#done / Math.max(1, elapsedMs);
    const left = this.#done === 0 ? "" : `  ${formatDuration((this.#total - this.#done) / perMs)} left`;
    const speed = `${formatBytes(perMs * 1000)}/s`;
    const text = `  ...    ${this.#what}  ${bar}  ${formatBytes(this.#done)} of ${formatBytes(this.#total)}  ${speed}${left}`;
    this.#session.io.stderr.write(`\r\u001b[K${text}`);
  }
}
