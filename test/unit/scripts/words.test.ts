import assert from "node:assert/strict";
import { test } from "node:test";
import { bannedIn, longSentencesIn, subjectProblem } from "../../../scripts/words/rules.ts";

test("a banned turn of phrase is found with its line, and code between backquotes is left alone", () => {
  const text =
    "The caller gets an error.\nWho asks is told nothing.\nSee `nobody` in the table.\nIt hears an event.";
  assert.deepEqual(
    bannedIn(text).map(({ line, phrase }) => [line, phrase]),
    [
      [2, "is told"],
      [2, "Who asks"],
      [4, "hears"],
    ],
  );
});

test("the system's user nobody and engineers who ask are no findings", () => {
  assert.deepEqual(bannedIn('ask("nobody", "kernel-log")\nFor engineers who ask why.'), []);
  assert.deepEqual(
    bannedIn("what became of it").map(({ phrase }) => phrase),
    ["what became of"],
  );
});

test("a sentence over 30 words is found where its paragraph begins, and tables and code do not count", () => {
  const long = Array.from({ length: 31 }, () => "word").join(" ");
  const page = `# A title\n\nShort.\nThen ${long}.\n\n| ${long} |\n\n\`\`\`sh\n${long}\n\`\`\`\n\n- ${long}\n`;
  assert.deepEqual(longSentencesIn(page), [
    { line: 3, words: 32 },
    { line: 12, words: 31 },
  ]);
});

test("a commit's subject has an area and at most 72 characters", () => {
  assert.equal(subjectProblem("vm: raise the define queue limit to 8192"), undefined);
  assert.equal(subjectProblem("api, test: word two comments plainly"), undefined);
  assert.match(subjectProblem("Raise the define queue limit") ?? "", /area/);
  assert.match(subjectProblem(`vm: ${"x".repeat(70)}`) ?? "", /74 characters/);
});
