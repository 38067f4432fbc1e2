import type { CliIo } from "../io.ts";

// ECMA-48 and xterm control sequences.
const ENTER = "\u001b[?1049h\u001b[?25l\u001b[?7l";
const LEAVE = "\u001b[?7h\u001b[?25h\u001b[?1049l";
// Synchronized output: terminals that support it draw at once, others ignore it.
const [BEGIN, END] = ["\u001b[?2026h", "\u001b[?2026l"];

/** Takes over the terminal: alternate screen, raw keys. `leave` restores it. */
export class Screen {
  readonly #io: Pick<CliIo, "stdin" | "stdout">;
  readonly #onKeys: (keys: string) => void;
  readonly #onResize: () => void;
  #entered = false;

  constructor(
    io: Pick<CliIo, "stdin" | "stdout">,
    on: { readonly keys: (keys: string) => void; readonly resize: () => void },
  ) {
    this.#io = io;
    this.#onKeys = on.keys;
    this.#onResize = on.resize;
  }

  get size(): { readonly columns: number; readonly rows: number } {
    const { columns, rows } = this.#io.stdout;
    // A serial console reports no size, or 0.
    return { columns: columns || 80, rows: rows || 24 };
  }

  enter(): void {
    const { stdin, stdout } = this.#io;
    this.#entered = true;
    stdin.setRawMode?.(true);
    stdin.on("data", this.#take).resume();
    stdout.on("resize", this.#onResize);
    stdout.write(ENTER);
    // On every end of the process; and before an uncaught error is printed.
    process.once("exit", this.leave);
    process.once("uncaughtExceptionMonitor", this.leave);
  }

  /** A line per row, drawn over the old one in one write, so that nothing flickers. */
  draw(lines: readonly string[]): void {
    if (!this.#entered) return;
    // Erased before it is written: after a full line, erasing would remove its last character.
    const text = lines.map((line, index) => `\u001b[${index + 1};1H\u001b[K${line}`).join("");
    this.#io.stdout.write(`${BEGIN}${text}${END}`);
  }

  readonly leave = (): void => {
    if (!this.#entered) return;
    this.#entered = false;
    const { stdin, stdout } = this.#io;
    process.off("exit", this.leave);
    process.off("uncaughtExceptionMonitor", this.leave);
    stdout.off("resize", this.#onResize);
    stdin.off("data", this.#take).pause();
    stdin.setRawMode?.(false);
    stdout.write(LEAVE);
  };

  readonly #take = (chunk: Buffer | string): void => this.#onKeys(chunk.toString());
}
