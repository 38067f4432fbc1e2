import type { Paint } from "./io.ts";
import { printable } from "./format.ts";
import { clip, pad, widthOf } from "./width.ts";

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
export function renderTable<Row>(all: readonly Column<Row>[], rows: readonly Row[], paint: Paint): string {
  const told = all.map((column) => {
    const texts = rows.map((row) => printable(column.cell(row)));
    const width = texts.reduce((most, text) => Math.max(most, widthOf(text)), column.title.length);
    return { column, texts, width };
  });
  const roomFor = (count: number): number => (paint.width ?? Infinity) - GAP * (count - 1);
  const natural = told.reduce((sum, { width }) => sum + width, 0);
  const shown = natural <= roomFor(told.length) ? told : told.filter(({ column }) => column.spare !== true);
  const widths = fit(
    shown.map(({ width }) => width),
    roomFor(shown.length),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => pad(cell, widths[at] ?? 0, shown[at]?.column.align))
      .join(" ".repeat(GAP))
      .trimEnd();
  const lines = (cells: readonly (readonly string[])[]): string[] =>
    Array.from({ length: Math.max(...cells.map(({ length }) => length)) }, (_, index) =>
      line(cells.map((parts) => parts[index] ?? "")),
    );
  const head = shown.map(({ column: { title } }, at) =>
    wrap(title, widths[at] ?? 0).map((part) => paint("bold", part)),
  );
  const body = rows.map((row, index) =>
    shown.map(({ column, texts }, at) => {
      const text = texts[index] ?? "";
      // Its colour depends on the whole text, each line is coloured by itself.
      const painted = column.paint === undefined ? text : column.paint(text, row, paint);
      return wrap(text, widths[at] ?? 0).map((part) => painted.replace(text, () => part));
    }),
  );
  return `${[head, ...body].flatMap(lines).join("\n")}\n`;
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
  return [...lines, line.trimEnd()];
}
