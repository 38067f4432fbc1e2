import { readdir, readFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";

export const repository = join(import.meta.dirname, "../../..");
const SKIPPED: ReadonlySet<string> = new Set(["node_modules", "dist"]);

/** A fenced block. */
export interface Block {
  readonly language: string;
  readonly text: string;
  /** The number of its first line within the page, counted from 1. */
  readonly line: number;
}

/** A page of the documentation. */
export interface Page {
  /** Relative to the repository. */
  readonly path: string;
  readonly directory: string;
  readonly text: string;
  readonly blocks: readonly Block[];
  /** The text between backticks, outside of fenced blocks. */
  readonly spans: readonly string[];
}

/** Every Markdown file of the repository. */
export async function allPages(): Promise<readonly Page[]> {
  const paths: string[] = [];
  const walk = async (directory: string): Promise<void> => {
    for (const entry of await readdir(directory, { withFileTypes: true })) {
      if (entry.name.startsWith(".") || SKIPPED.has(entry.name)) continue;
      const path = join(directory, entry.name);
      if (entry.isDirectory()) await walk(path);
      else if (entry.name.endsWith(".md")) paths.push(relative(repository, path));
    }
  };
  await walk(repository);
  return await Promise.all(paths.sort().map(readPage));
}

export async function readPage(path: string): Promise<Page> {
  const text = await readFile(join(repository, path), "utf8");
  const blocks = [...text.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, language = "", of = ""], index) => ({
    language,
    text: of,
    line: lineOf(text, index),
  }));
  const prose = text.replaceAll(/^```.*?^```$/gms, "");
  return {
    path,
    directory: dirname(join(repository, path)),
    text,
    blocks,
    spans: [...prose.matchAll(/`([^`\n]+)`/g)].map(([, span = ""]) => span),
  };
}

function lineOf(text: string, index: number): number {
  const at = [...text.matchAll(/^```\w*\n.*?^```$/gms)][index]?.index ?? 0;
  return text.slice(0, at).split("\n").length + 1;
}
