import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { codeIn, repository, tableBelow, textOf } from "../../support/docs/markdown.ts";

for (const [kind, folder, heading] of [
  ["campaign", "test/faults", "## Campaigns"],
  ["bench", "test/bench", "## Benchmarks"],
] as const) {
  test(`test/README.md has a row for each ${kind}, and for nothing else`, () => {
    const suffix = `.${kind}.ts`;
    const files = readdirSync(join(repository, folder)).filter((name) => name.endsWith(suffix));
    const rows = tableBelow(textOf("test/README.md"), heading).map(([name = ""]) => codeIn(name)[0]);
    assert.deepEqual(rows.toSorted(), files.map((name) => name.slice(0, -suffix.length)).toSorted());
  });
}
