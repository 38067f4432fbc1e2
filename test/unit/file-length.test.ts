import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const repository = join(import.meta.dirname, "../..");
const mostLines = 400;

test("no TypeScript file has more than 400 lines", () => {
  const files = execFileSync("git", ["ls-files", "*.ts"], { cwd: repository, encoding: "utf8" })
    .split("\n")
    .filter((file) => file !== "");
  assert.ok(files.length > 500, `git lists ${files.length} files`);
  const tooLong = files.flatMap((file) => {
    const lines = readFileSync(join(repository, file), "utf8").split("\n").length - 1;
    return lines > mostLines ? [`${file}: ${lines} lines`] : [];
  });
  assert.deepEqual(tooLong, [], "split each of these files in two");
});
