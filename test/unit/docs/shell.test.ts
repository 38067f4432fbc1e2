import assert from "node:assert/strict";
import { test } from "node:test";
import { commandsOf } from "../../support/docs/shell.ts";

test("commands are separated by lines, pipes and operators; redirections and comments are left out", () => {
  const script = [
    "a b   # a comment",
    "c 'd # e' > file | f --g=\"h i\" && j \\",
    '  k <<< "$TOKEN" 2>> log',
    "# l",
    "m#n; o",
  ].join("\n");
  assert.deepEqual(commandsOf(script), [
    ["a", "b"],
    ["c", "d # e"],
    ["f", "--g=h i"],
    ["j", "k"],
    ["m#n"],
    ["o"],
  ]);
});
