import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { bashCompletion } from "../../../agent/cli/commands/completion.ts";
import { buildProgram } from "../../../agent/cli/program.ts";

const script = bashCompletion(buildProgram("", () => () => Promise.resolve()));

/** What bash offers after the line, for its last word. */
function offered(...line: string[]): string[] {
  const words = line.map((word) => `'${word}'`).join(" ");
  const end = `COMP_WORDS=(socle ${words})\nCOMP_CWORD=${line.length}\n_socle\nprintf '%s\\n' "\${COMPREPLY[@]}"\n`;
  return execFileSync("bash", ["-c", `${script}\n${end}`], { encoding: "utf8" })
    .split("\n")
    .filter((word) => word !== "");
}

test("no arm of the completion's cases repeats a pattern of an earlier one", () => {
  for (const [text] of script.matchAll(/\bcase [^]*?\besac\b/g)) {
    const patterns = [...text.matchAll(/^ +([^()\n]+)\) .*;;$/gm)].flatMap(([, arm = ""]) =>
      arm.split(" | ").map((pattern) => pattern.trim()),
    );
    assert.ok(patterns.length > 0, text.slice(0, 40));
    assert.deepEqual(
      patterns.filter((pattern, index) => patterns.indexOf(pattern) !== index),
      [],
    );
  }
});

test("the values of an option are those of its command", () => {
  assert.deepEqual(offered("vm", "dump", "web", "--format", ""), ["elf", "kdump-zlib"]);
  assert.deepEqual(offered("volume", "create", "x", "--format", ""), ["qcow2", "raw"]);
  assert.deepEqual(offered("image", "import", "--format", "r"), ["raw"]);
  assert.deepEqual(offered("vm", "import", "web.tar", "--id", ""), ["new", "keep"]);
  assert.deepEqual(offered("vm", "create", "--id", ""), []);
  assert.deepEqual(offered("vm", "create", "--watchdog", "re"), ["reset"]);
});
