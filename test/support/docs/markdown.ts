import { readFileSync } from "node:fs";
import { join } from "node:path";

export const repository = join(import.meta.dirname, "../../..");

/** A file of the repository, by its path within it. */
export const textOf = (path: string): string => readFileSync(join(repository, path), "utf8");

/**
 * The cells of the rows of the first table below a heading, without its header. Throws without such a heading
 * or without a table below it.
 */
export function tableBelow(markdown: string, heading: string): string[][] {
  const all = markdown.split("\n");
  const start = all.indexOf(heading);
  if (start < 0) throw new Error(`no heading "${heading}"`);
  const lines = all.slice(start + 1);
  const first = lines.findIndex((line) => line.startsWith("|"));
  if (first < 0) throw new Error(`no table below "${heading}"`);
  const end = lines.findIndex((line, index) => index > first && !line.startsWith("|"));
  return lines.slice(first + 2, end < 0 ? undefined : end).map(cells);
}

/** The text between backticks. */
export const codeIn = (text: string): string[] =>
  [...text.matchAll(/`([^`]+)`/g)].map(([, code = ""]) => code);

/** The fenced block that follows the marker `<!-- NAME -->`, without its fences. */
export function blockAfter(markdown: string, name: string): string {
  const [, after] = markdown.split(`<!-- ${name} -->`);
  const [, block] = /^\s*```\w*\n([\s\S]*?)^```$/m.exec(after ?? "") ?? [];
  if (block === undefined) throw new Error(`no fenced block after <!-- ${name} -->`);
  return block;
}

/** The same document with other lines in the fenced block that follows the marker `<!-- NAME -->`. */
export const withBlock = (markdown: string, name: string, lines: string): string =>
  markdown.replace(`${blockAfter(markdown, name)}\`\`\``, () => `${lines}\`\`\``);

export interface FileLink {
  /** Relative to the document; empty: the document itself. */
  readonly path: string;
  readonly anchor: string;
}

/** The links to files and headings of the repository, outside of fenced blocks. */
export function fileLinks(markdown: string): FileLink[] {
  const prose = markdown.replace(/^```[\s\S]*?^```$/gm, "");
  const targets = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target);
  return targets
    .filter((target) => !/^\w+:/.test(target))
    .map((target) => {
      const [path = "", anchor = ""] = target.split("#");
      return { path, anchor };
    });
}

const cells = (row: string): string[] =>
  row
    .replace(/^\||\|$/g, "")
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll("\\|", "|"));
