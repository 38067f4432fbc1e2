import type { Paint } from "./io.ts";
import { printable } from "./format.ts";
import { clip, pad, widthOf } from "./width.ts";

export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => string;
  readonly align?: "left" | "right";
  /** Left out where a terminal is too narrow: other columns imply it. */
  readonly spare?: boolean;
  /** Colours a cell after it was sanitized. */
  readonly paint?: (cell: string, row: Row, paint: Paint) => string;
}

const GAP = 2;
const NARROWEST = 6;

/**
 * Aligned columns without lines, a row per line, so that grep and awk work; a cell wider than its column wraps. Ends with
 * a line feed.
 */
export function renderTable<Row>(all: readonly Column<Row>[], rows: readonly Row[], paint: Paint): string {
  const rendered = all.map((column) => {
    const texts = rows.map((row) => printable(column.cell(row)));
    const width = texts.reduce((most, text) => Math.max(most, widthOf(text)), column.title.length);
    return { column, texts, width };
  });
  const roomFor = (count: number): number => (paint.width ?? Infinity) - GAP * (count - 1);
  const natural = rendered.reduce((sum, { width }) => sum + width, 0);
  const shown =
    natural <= roomFor(rendered.length) ? rendered : rendered.filter(({ column }) => column.spare !== true);
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
      // The colour depends on the whole text; each line is coloured separately.
      const painted = column.paint === undefined ? text : column.paint(text, row, paint);
      return wrap(text, widths[at] ?? 0).map((part) => painted.replace(text, () => part));
    }),
  );
  return `${[head, ...body].flatMap(lines).join("\n")}\n`;
}

/** `name  value` lines, the names dimmed and padded to the longest; a long value wraps, an empty one is left out. */
export function renderFields(all: readonly (readonly [string, string])[], paint: Paint): string {
  const fields = all.filter(([, value]) => value.trim() !== "");
  const width = Math.max(...fields.map(([name]) => name.length));
  const left = Math.max(NARROWEST, (paint.width ?? Infinity) - width - GAP);
  return fields
    .map(([name, value]) => {
      const lines = wrap(value, left).join(`\n${" ".repeat(width + GAP)}`);
      return `${paint("dim", name.padEnd(width))}  ${lines}\n`;
    })
    .join("");
}

// oxlint-disable-next-line no-control-regex -- what painter writes
const COLOUR = /\u001b\[\d+m/;

/** Narrows the widest until all fit, as far as possible. */
function fit(natural: readonly number[], room: number): number[] {
  const widths = [...natural];
  for (let excess = widths.reduce((sum, width) => sum + width, 0) - room; excess > 0; excess -= 1) {
    const widest = Math.max(...widths);
    if (widest <= NARROWEST) break;
    widths[widths.lastIndexOf(widest)] = widest - 1;
  }
  return widths;
}

/** Lines of at most `width` columns, broken between words where possible; a colour sequence is never cut. */
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
