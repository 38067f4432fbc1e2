import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { codeIn, repository, tableBelow, textOf } from "../../support/docs/markdown.ts";

test("scripts/README.md has a row for each script, and for nothing else", () => {
  const entries = readdirSync(join(repository, "scripts"), { withFileTypes: true });
  const scripts = entries
    .map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name))
    .filter((name) => name !== "README.md");
  const rows = tableBelow(textOf("scripts/README.md"), "# Scripts").map(([script = ""]) => codeIn(script)[0]);
  assert.deepEqual(rows.toSorted(), scripts.toSorted());
});
