import type { Operation__Output } from "../gen/socle/v1/Operation.ts";
import { formatDuration, printable, toMs } from "./format.ts";
import type { Session } from "./session.ts";
import { transferText } from "./transfer.ts";

const repaintMs = 200;
const BAR_CELLS = 20;

const decided = "  its end is decided; it shows once libvirt or the state directory records it";
const unknown = "  libvirt does not answer: the agent finds out the outcome when it does";

/** An operation's steps as they happen: a live line on a terminal, else a line each, nothing with --json. */
export class Progress {
  readonly #session: Session;
  readonly #live: boolean;
  #printed = 0;
  #current: { readonly name: string; readonly sinceMs: number } | undefined;
  /** The operation's progress when the current step was first seen, and now. */
  #progress = { before: 0, now: 0 };
  #transfer = "";
  readonly #noted = new Set<string>();
  readonly #timer: NodeJS.Timeout | undefined;

  constructor(session: Session) {
    this.#session = session;
    this.#live = session.io.stderr.isTTY === true && session.io.env.TERM !== "dumb" && !session.json;
    if (this.#live) this.#timer = setInterval(() => this.#repaint(), repaintMs);
    this.#timer?.unref();
  }

  update(operation: Operation__Output): void {
    const { steps, state, endDecided, progress } = operation;
    if (this.#session.json) return;
    for (const step of steps.slice(this.#printed)) {
      if (step.outcome === "") break;
      this.#printed += 1;
      const tookMs = (toMs(step.endedAt) ?? 0) - (toMs(step.startedAt) ?? 0);
      const colour = step.outcome === "done" ? "green" : "yellow";
      const outcome = this.#session.paintNote(colour, step.outcome.padEnd(6));
      this.#line(`  ${outcome} ${printable(step.name)}  ${formatDuration(tookMs)}`);
    }
    const current = steps.find(({ outcome }) => outcome === "");
    const isSame = current !== undefined && printable(current.name) === this.#current?.name;
    this.#progress = { before: isSame ? this.#progress.before : progress, now: progress };
    this.#transfer = transferText(operation);
    this.#current =
      current === undefined
        ? undefined
        : { name: printable(current.name), sinceMs: toMs(current.startedAt) ?? Date.now() };
    if (state === "STATE_OUTCOME_UNKNOWN") this.#note(endDecided ? decided : unknown);
    this.#repaint();
  }

  end(): void {
    clearInterval(this.#timer);
    this.#current = undefined;
    this.#repaint();
  }

  /** Prints a line at most once per operation. */
  #note(text: string): void {
    if (this.#noted.has(text)) return;
    this.#noted.add(text);
    this.#line(text);
  }

  #line(text: string): void {
    this.#session.io.stderr.write(`${this.#live ? "\r\u001b[K" : ""}${text}\n`);
  }

  /** For a step that reports how much of it is done. */
  #bar(): string {
    const { before, now } = this.#progress;
    if (now <= before && this.#transfer === "") return "";
    const done = Math.round(now * BAR_CELLS);
    const bar = `  [${"#".repeat(done)}${"-".repeat(BAR_CELLS - done)}] ${Math.round(now * 100)}%`;
    return this.#transfer === "" ? bar : `${bar}  ${this.#transfer}`;
  }

  #repaint(): void {
    if (!this.#live) return;
    const current = this.#current;
    const text =
      current === undefined
        ? ""
        : `  ...    ${current.name}${this.#bar()}  ${formatDuration(Date.now() - current.sinceMs)}`;
    this.#session.io.stderr.write(`\r\u001b[K${text}`);
  }
}
