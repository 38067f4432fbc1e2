import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { fileLinks, repository, textOf } from "../../support/docs/markdown.ts";

const records = readdirSync(join(repository, "agent/decisions")).filter((name) =>
  /^\d{4}-.*\.md$/.test(name),
);

for (const record of records) {
  test(`${record} has a context, a decision and consequences in at most 200 words`, () => {
    const text = textOf(`agent/decisions/${record}`);
    const headings = [...text.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading);
    assert.deepEqual(headings, ["Context", "Decision", "Consequences"]);
    const words = text.split(/\s+/).filter((word) => /\w/.test(word));
    assert.ok(words.length <= 200, `it has ${words.length} words`);
  });
}

test("the index of decisions has each record", () => {
  const linked = fileLinks(textOf("agent/decisions/README.md")).map(({ path }) => path);
  assert.deepEqual(linked, records.toSorted());
});
