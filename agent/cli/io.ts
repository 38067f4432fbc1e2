import type { Readable, Writable } from "node:stream";
import type { Clock } from "../kernel/clock.ts";

/** A terminal or pipe to write to. */
type Output = Writable & {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
};

/** A terminal or pipe to read from; raw mode exists on a terminal. */
type Input = Readable & { readonly isTTY?: boolean; setRawMode?(raw: boolean): unknown };

/** The process environment that main.ts passes to the CLI. */
export interface CliIo {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly stdin: Input;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether stdout is a terminal. */
  readonly isTTY: boolean;
  /** Runs the agent until a stop signal; resolves to the exit code. */
  readonly startAgent: (configPath: string) => Promise<number>;
  /** The directory that holds `socle/v1/*.proto`. */
  readonly protoDirectory: string;
  readonly version: string;
  /** The clock for ages; the system's when absent. */
  readonly clock?: Pick<Clock, "now">;
}

export type Colour = "red" | "green" | "yellow" | "dim" | "bold";
/** Colours text; `width`: the terminal's columns, if it reports them. */
export type Paint = ((colour: Colour, text: string) => string) & { readonly width?: number };

const codes: Readonly<Record<Colour, readonly [number, number]>> = {
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  dim: [2, 22],
  bold: [1, 22],
};

/** Colours on a terminal only, and not with NO_COLOR (no-color.org) or a dumb terminal. */
export function painter(io: Pick<CliIo, "env" | "isTTY"> & { readonly stdout?: Output }): Paint {
  const off = !io.isTTY || (io.env.NO_COLOR ?? "") !== "" || io.env.TERM === "dumb";
  const paint = (colour: Colour, text: string): string =>
    off ? text : `\u001b[${codes[colour][0]}m${text}\u001b[${codes[colour][1]}m`;
  const width = io.isTTY ? io.stdout?.columns : undefined;
  return width ? Object.assign(paint, { width }) : paint;
}
