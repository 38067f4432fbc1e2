import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "../../..");

/** Each line of code, and the rule that must report it. */
const planted: readonly (readonly [line: string, rule: string])[] = [
  ["const text: number = undefined;", "typescript(TS2322)"],
  ["Promise.resolve(text);", "typescript(no-floating-promises)"],
  ["export const sum: unknown = text as any;", "typescript(no-explicit-any)"],
  ["if (text === undefined) throw new Error();", "typescript(no-unnecessary-condition)"],
  ['await eventually(() => true, { what: "it", timeoutMs: 100 });', "bounds(no-milliseconds)"],
  ['await within(100, Promise.resolve(1), "it");', "bounds(no-milliseconds)"],
  ["assert.ok(performance.now() - began < 50);", "bounds(no-milliseconds)"],
];

test("the linter knows types, and finds bounds in milliseconds", (t) => {
  const project = mkdtempSync(join(tmpdir(), "socle-lint-"));
  t.after(() => rmSync(project, { recursive: true }));
  for (const path of [".oxlintrc.json", "scripts/lint-bounds.mjs", "tsconfig.json", "package.json"]) {
    cpSync(join(root, path), join(project, path));
  }
  symlinkSync(join(root, "node_modules"), join(project, "node_modules"));
  mkdirSync(join(project, "test"));
  const browser = "agent/page/browser";
  mkdirSync(join(project, browser), { recursive: true });
  cpSync(join(root, browser, "tsconfig.json"), join(project, browser, "tsconfig.json"));
  writeFileSync(
    join(project, browser, "planted.js"),
    'export const element = document.createElementt("p");\n',
  );
  const declared = [
    'import assert from "node:assert/strict";',
    "declare function eventually(check: () => boolean, options: object): Promise<void>;",
    "declare function within(ms: number, work: Promise<number>, what: string): Promise<number>;",
    "const began = performance.now();",
  ];
  writeFileSync(join(project, "test/planted.ts"), [...declared, ...planted.map(([line]) => line)].join("\n"));
  const oxlint = join(root, "node_modules/.bin/oxlint");
  const { stdout } = spawnSync(oxlint, ["--type-check", "--format=unix", "agent", "test"], {
    cwd: project,
    encoding: "utf8",
  });
  const found = stdout.split("\n");
  assert.match(
    stdout,
    /browser\/planted\.js:1:33: .*typescript\(TS2551\)/,
    "the page's scripts are checked too",
  );
  planted.forEach(([line, rule], index) => {
    const at = `planted.ts:${declared.length + 1 + index}:`;
    const rules = found.filter((report) => report.includes(at));
    assert.ok(
      rules.some((report) => report.includes(rule)),
      `${line}: ${rule} is missing in ${rules.join("; ")}`,
    );
  });
});
