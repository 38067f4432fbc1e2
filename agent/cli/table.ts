import type { Paint } from "./io.ts";
import { printable } from "./format.ts";
import { clip, widthOf } from "./width.ts";

export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => string;
  readonly align?: "left" | "right";
  /** Left out where a terminal is too narrow for all: others say the same. */
  readonly spare?: boolean;
  /** Colours a cell, after it was made harmless. */
  readonly paint?: (cell: string, row: Row, paint: Paint) => string;
}

const GAP = 2;
const NARROWEST = 6;

/**
 * Aligned columns without lines, a row a line, so that grep and awk work on it too; what is wider than a terminal goes on
 * in the next line of its column. Ends with a line feed.
 */
export async function renderTable<Row>(
  all: readonly Column<Row>[],
  rows: readonly Row[],
  paint: Paint,
): Promise<string> {
  const { default: Table } = await import("cli-table3");
  const told = all.map((column) => {
    const texts = rows.map((row) => printable(column.cell(row)));
    const width = texts.reduce((most, text) => Math.max(most, widthOf(text)), column.title.length);
    return { column, texts, width };
  });
  const roomFor = (count: number): number => (paint.width ?? Infinity) - GAP * (count - 1);
  const natural = told.reduce((sum, { width }) => sum + width, 0);
  const shown = natural <= roomFor(told.length) ? told : told.filter(({ column }) => column.spare !== true);
  const columns = shown.map(({ column }) => column);
  const widths = fit(
    shown.map(({ width }) => width),
    roomFor(shown.length),
  );
  const none = "";
  const table = new Table({
    head: columns.map(({ title }, at) =>
      wrap(title, widths[at] ?? Infinity)
        .map((line) => paint("bold", line))
        .join("\n"),
    ),
    colAligns: columns.map(({ align }) => align ?? "left"),
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
    chars: {
      top: none,
      "top-mid": none,
      "top-left": none,
      "top-right": none,
      bottom: none,
      "bottom-mid": none,
      "bottom-left": none,
      "bottom-right": none,
      left: none,
      "left-mid": none,
      mid: none,
      "mid-mid": none,
      right: none,
      "right-mid": none,
      middle: "  ",
    },
  });
  for (const [index, row] of rows.entries()) {
    table.push(
      columns.map(({ paint: paintCell }, at) => {
        const text = shown[at]?.texts[index] ?? "";
        // Its colour depends on the whole text, each line is coloured by itself.
        const painted = paintCell === undefined ? text : paintCell(text, row, paint);
        return wrap(text, widths[at] ?? Infinity)
          .map((line) => painted.replace(text, () => line))
          .join("\n");
      }),
    );
  }
  return `${table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n")}\n`;
}

/** `name  value` lines, the names dimmed and padded to the longest; a value goes on below itself. */
export function renderFields(fields: readonly (readonly [string, string])[], paint: Paint): string {
  const width = Math.max(...fields.map(([name]) => name.length));
  const left = Math.max(NARROWEST, (paint.width ?? Infinity) - width - GAP);
  return fields
    .map(([name, value]) => {
      const lines = wrap(value, left).join(`\n${" ".repeat(width + GAP)}`);
      return `${paint("dim", name.padEnd(width))}  ${lines}\n`;
    })
    .join("");
}

// eslint-disable-next-line no-control-regex -- what painter writes
const COLOUR = /\u001b\[\d+m/;

/** Takes from the widest until all fit, as far as they can. */
function fit(natural: readonly number[], room: number): number[] {
  const widths = [...natural];
  for (let excess = widths.reduce((sum, width) => sum + width, 0) - room; excess > 0; excess -= 1) {
    const widest = Math.max(...widths);
    if (widest <= NARROWEST) break;
    widths[widths.lastIndexOf(widest)] = widest - 1;
  }
  return widths;
}

/** Lines of at most so many columns, between words where that is possible; a word is not cut within its colours. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/(?<= )/)) {
    if (line !== "" && widthOf((line + word).trimEnd()) > width) {
      lines.push(line.trimEnd());
      line = "";
    }
    line += word;
    if (COLOUR.test(line)) continue;
    while (widthOf(line.trimEnd()) > width) {
      const part = clip(line, width);
      lines.push(part);
      line = line.slice(part.length);
    }
  }
  return [...lines, line];
}
