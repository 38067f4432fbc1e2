import type { Paint } from "./io.ts";
import { printable } from "./format.ts";

export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => string;
  readonly align?: "left" | "right";
  /** Colours a cell, after it was made harmless. */
  readonly paint?: (cell: string, row: Row, paint: Paint) => string;
}

/** Aligned columns without lines, a row a line, so that grep and awk work on it too. Ends with a line feed. */
export async function renderTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  paint: Paint,
): Promise<string> {
  const { default: Table } = await import("cli-table3");
  const none = "";
  const table = new Table({
    head: columns.map(({ title }) => paint("bold", title)),
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
  for (const row of rows) {
    table.push(
      columns.map(({ cell, paint: paintCell }) => {
        const text = printable(cell(row));
        return paintCell === undefined ? text : paintCell(text, row, paint);
      }),
    );
  }
  return `${table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n")}\n`;
}

/** `name  value` lines, the names dimmed and padded to the longest. */
export function renderFields(fields: readonly (readonly [string, string])[], paint: Paint): string {
  const width = Math.max(...fields.map(([name]) => name.length));
  return fields.map(([name, value]) => `${paint("dim", name.padEnd(width))}  ${value}\n`).join("");
}
