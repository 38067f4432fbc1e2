import { systemClock } from "../../kernel/clock.ts";
import { toSocleError } from "../../kernel/errors.ts";
import { exitCodes } from "../errors.ts";
import { formatDuration } from "../format.ts";
import type { Command, Session } from "../session.ts";
import { frame, page } from "../top/frame.ts";
import { Screen } from "../top/screen.ts";
import { arrange, look, type Look, type SortName, type Choice } from "../top/view.ts";

interface Options {
  readonly sort: SortName;
  readonly filter?: string;
  /** In milliseconds. */
  readonly delay?: number;
  readonly once?: boolean;
}

const DELAY_MS = 2000;
const LEAST_DELAY_MS = 250;
/** Ages keep counting between two refreshes. */
const REDRAW_MS = 1000;

/** Refreshes until `q`; once with --once, --json, or without a terminal. */
export const top: Command = async (session, _args, options: Partial<Options>) => {
  const { sort = "cpu", filter = "" } = options;
  const choice: Choice = { sort, reversed: false, filter, typing: false, offset: 0 };
  const { io } = session;
  const isLive = io.isTTY && io.stdin.isTTY === true && io.env.TERM !== "dumb";
  if (isLive && options.once !== true && !session.json)
    return await new Top(session, choice, Math.max(LEAST_DELAY_MS, options.delay ?? DELAY_MS)).run();
  const seen = await look(await session.agent(), () => session.nowMs());
  if (session.json) {
    const { host, jobs, openBackups, complete } = seen;
    session.printJson({ host, vms: arrange(seen.vms, choice), jobs, openBackups, complete });
  } else session.print(page(seen, choice, session.paint, session.nowMs()));
  return undefined;
};

const PAGE_ROWS = 10;
const sorts: Readonly<Record<string, SortName>> = {
  c: "cpu",
  m: "memory",
  d: "disk",
  n: "network",
  a: "name",
};
/** A character, or the escape sequence of a key without one. */
// oxlint-disable-next-line no-control-regex -- they begin with ESC
const KEY = /\u001b\[[\d;]*[A-Za-z~]|\u001b[^\u001b]?|[^\u001b]/gu;
const moves: ReadonlyMap<string, number> = new Map([
  ["\u001b[A", -1],
  ["\u001b[B", 1],
  ["\u001b[5~", -PAGE_ROWS],
  ["\u001b[6~", PAGE_ROWS],
  ["\u001b[H", -Infinity],
  ["k", -1],
  ["j", 1],
]);

class Top {
  readonly #session: Session;
  readonly #delayMs: number;
  readonly #screen: Screen;
  readonly #end = new AbortController();
  #choice: Choice;
  #seen: Look | undefined;
  #failure: string | undefined;

  constructor(session: Session, choice: Choice, delayMs: number) {
    this.#session = session;
    this.#choice = choice;
    this.#delayMs = delayMs;
    this.#screen = new Screen(session.io, { keys: (keys) => this.#press(keys), resize: () => this.#draw() });
  }

  async run(): Promise<typeof exitCodes.interrupted | undefined> {
    // A first failure is reported as in every command, before the screen is taken.
    this.#seen = await this.#look();
    const { interrupt } = this.#session;
    const end = (): void => this.#end.abort();
    const killed = new AbortController();
    const onKill = (): void => {
      killed.abort();
      end();
    };
    interrupt.addEventListener("abort", end, { once: true });
    for (const signal of ["SIGTERM", "SIGHUP"] as const) process.once(signal, onKill);
    this.#screen.enter();
    const redraw = setInterval(() => this.#draw(), REDRAW_MS);
    try {
      this.#draw();
      await this.#follow();
    } finally {
      clearInterval(redraw);
      this.#screen.leave();
      interrupt.removeEventListener("abort", end);
      for (const signal of ["SIGTERM", "SIGHUP"] as const) process.off(signal, onKill);
    }
    return killed.signal.aborted ? exitCodes.interrupted : undefined;
  }

  async #follow(): Promise<void> {
    const { signal } = this.#end;
    const isOver = (): boolean => signal.aborted;
    while (!isOver()) {
      await systemClock.sleep(this.#delayMs, signal).catch(() => undefined);
      if (isOver()) return;
      try {
        this.#seen = await this.#look();
        this.#failure = undefined;
      } catch (thrown) {
        const { message } = toSocleError(thrown);
        const age = formatDuration(this.#session.nowMs() - (this.#seen?.atMs ?? 0));
        this.#failure = `${message}: this is as it was ${age} ago; trying again`;
        await this.#session.close();
      }
      this.#draw();
    }
  }

  async #look(): Promise<Look> {
    return look(await this.#session.agent(), () => this.#session.nowMs());
  }

  #draw(): void {
    if (this.#seen === undefined) return;
    const { size } = this.#screen;
    const nowMs = this.#session.nowMs();
    const given = { choice: this.#choice, size, failure: this.#failure, nowMs };
    const { lines, offset } = frame(this.#seen, given, this.#session.paint);
    this.#choose({ offset });
    this.#screen.draw(lines);
  }

  /** Input that arrives together: keys repeated over a slow line, or pasted text. */
  #press(keys: string): void {
    for (const [key] of keys.matchAll(KEY)) this.#key(key);
    this.#draw();
  }

  #key(key: string): void {
    if (key === "\u0003") this.#end.abort();
    else if (this.#choice.typing) this.#type(key);
    else if (key === "q") this.#end.abort();
    else if (key === "/") this.#choose({ typing: true, filter: "" });
    else if (key === "r") this.#choose({ reversed: !this.#choice.reversed });
    else if (key === "\u001b") this.#choose({ filter: "" });
    else if (moves.has(key))
      this.#choose({ offset: Math.max(0, this.#choice.offset + (moves.get(key) ?? 0)) });
    else if (sorts[key] !== undefined) this.#choose({ sort: sorts[key], reversed: false, offset: 0 });
  }

  #type(key: string): void {
    const { filter } = this.#choice;
    if (key === "\r" || key === "\n") this.#choose({ typing: false });
    else if (key === "\u001b") this.#choose({ typing: false, filter: "" });
    else if (key === "\u007f" || key === "\b")
      this.#choose({ filter: Array.from(filter).slice(0, -1).join("") });
    else if (key >= " ") this.#choose({ filter: filter + key, offset: 0 });
  }

  #choose(changes: Partial<Choice>): void {
    this.#choice = { ...this.#choice, ...changes };
  }
}
