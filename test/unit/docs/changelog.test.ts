import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { repository, textOf } from "../../support/docs/markdown.ts";

const changelog = textOf("CHANGELOG.md").replace(/\s+/g, " ");
const skip = existsSync(join(repository, ".git"))
  ? false
  : "this is no clone: there are no commits to compare with";

test("CHANGELOG.md has each break of the contract, as its commit describes it", { skip }, () => {
  const log = execFileSync("git", ["log", "--format=%(trailers:key=Breaks-contract,valueonly,unfold)"], {
    cwd: repository,
    encoding: "utf8",
  });
  const breaks = log.split("\n").filter((line) => line.trim() !== "");
  const missing = breaks.filter((text) => !changelog.includes(text.trim().replace(/\s+/g, " ")));
  assert.deepEqual(missing, []);
});

test("CHANGELOG.md has the version of package.json with its date", () => {
  const { version } = JSON.parse(textOf("package.json")) as { version: string };
  assert.match(
    textOf("CHANGELOG.md"),
    new RegExp(`^## ${version.replaceAll(".", "\\.")} - \\d{4}-\\d\\d-\\d\\d$`, "m"),
  );
});
