import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import test from "node:test";
import { fileLinks, repository, textOf } from "../../support/docs/markdown.ts";

const skipped = new Set(["node_modules", "dist", ".git", ".cache"]);

function* documents(directory: string): Generator<string, void, undefined> {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory() && !skipped.has(entry.name)) yield* documents(path);
    else if (entry.isFile() && entry.name.endsWith(".md")) yield relative(repository, path);
  }
}

for (const document of documents(repository)) {
  test(`the links in ${document} lead to existing files and headings`, () => {
    const text = textOf(document);
    for (const { path, anchor } of fileLinks(text)) {
      const target = path === "" ? document : join(dirname(document), path);
      assert.ok(existsSync(join(repository, target)), `${path} does not exist`);
      if (anchor === "" || !target.endsWith(".md")) continue;
      assert.ok(anchorsOf(textOf(target)).has(anchor), `${target} has no heading for #${anchor}`);
    }
  });
}

/** The anchors that GitHub makes of headings. */
function anchorsOf(markdown: string): ReadonlySet<string> {
  const headings = [...markdown.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}
