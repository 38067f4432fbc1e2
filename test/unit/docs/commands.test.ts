// Names in the documentation exist: files, commands, configuration keys and reasons.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { CommanderError } from "commander";
import { configSchema } from "../../../agent/config/schema.ts";
import { parseConfig } from "../../../agent/config/load.ts";
import { parseCommandLine } from "../../support/cli/parsing.ts";
import { allPages, repository, type Page } from "../../support/docs/pages.ts";
import { commandsOf } from "../../support/docs/shell.ts";

const MOST_WORDS_OF_FRONT_PAGE = 900;
const run = promisify(execFile);
const pages = await allPages();
const pageAt = (path: string): Page => {
  const page = pages.find((one) => one.path === path);
  assert.ok(page, `there is no ${path}`);
  return page;
};
/** Pages for operators, in which every name is checked. */
const manual = ["README.md", "systemd/README.md", "systemd/runbooks.md"].map(pageAt);

test("README.md has at most 900 words", () => {
  const words = pageAt("README.md")
    .text.split(/\s+/)
    .filter((word) => word !== "");
  assert.ok(words.length <= MOST_WORDS_OF_FRONT_PAGE, `${words.length} words`);
});

/** Files that a page asks its reader to write. */
const toBeWritten = new Set(["agent/vm/operations/nudge.ts"]);

test("every path of the repository that a page names exists", () => {
  const missing = pages.flatMap(({ path, directory, spans, blocks }) =>
    [...spans, ...blocks.filter(isShell).flatMap(({ text }) => commandsOf(text).flat())]
      .map((span) => span.replace(/^\.\//, ""))
      .filter(
        (span) => /^(agent|proto|scripts|systemd|test|\.ci)\/[\w./-]+$/.test(span) && !/[A-Z]{4}/.test(span),
      )
      .filter(
        (span) =>
          !toBeWritten.has(span) && !existsSync(join(repository, span)) && !existsSync(join(directory, span)),
      )
      .map((span) => `${path}: ${span}`),
  );
  assert.deepEqual(missing, []);
});

test("bash parses every shell block", async () => {
  for (const { path, blocks } of pages)
    for (const { text, line } of blocks.filter(isShell))
      await assert.doesNotReject(run("bash", ["-n", "-c", text]), `${path}:${line}`);
});

test("socle parses every socle command line of a page", async () => {
  const wrong: string[] = [];
  let count = 0;
  const check = async (path: string, script: string, mayLack: RegExp): Promise<void> => {
    for (const [program = "", ...words] of commandsOf(script)) {
      if (!/^(\.\/scripts\/)?socle$/.test(program)) continue;
      count += 1;
      await parseCommandLine(words).catch((thrown: unknown) => {
        if (thrown instanceof CommanderError && mayLack.test(thrown.code)) return;
        wrong.push(`${path}: socle ${words.join(" ")}: ${String(thrown)}`);
      });
    }
  };
  for (const { path, blocks, spans } of pages) {
    for (const { text } of blocks.filter(isShell)) await check(path, text, /^$/);
    // A sentence may name a command without its arguments, and a number by N.
    for (const span of spans.filter(isCommandLine))
      await check(
        path,
        span.replaceAll(/\bN\b/g, "1"),
        /^commander\.(missingArgument|missingMandatoryOptionValue|help)$/,
      );
  }
  assert.deepEqual(wrong, []);
  assert.ok(count > 100, `${count} command lines`);
});

test("the YAML examples of systemd/README.md are valid configurations", () => {
  const examples = pageAt("systemd/README.md").blocks.filter(({ language }) => language === "yaml");
  assert.ok(examples.length >= 4, `${examples.length} examples`);
  for (const { text, line } of examples)
    assert.doesNotThrow(() => parseConfig(text, `systemd/README.md:${line}`));
});

test("every configuration key in the operators' pages exists", () => {
  const config: Readonly<Record<string, unknown>> = configSchema.parse({});
  const unknown = manual.flatMap(({ path, spans }) =>
    spans.flatMap((span) => {
      const [, section = "", key = ""] = /^([a-z]+)\.([a-z]\w*)\b/.exec(span) ?? [];
      const values = config[section];
      if (typeof values !== "object" || values === null) return [];
      return Object.hasOwn(values, key) ? [] : [`${path}: ${span}`];
    }),
  );
  assert.deepEqual(unknown, []);
});

test("the agent has every reason in the operators' pages", async () => {
  const reasons = new Set(
    manual.flatMap(({ spans }) => spans.filter((span) => /^[A-Z]+(_[A-Z]+)+$/.test(span))),
  );
  assert.ok(reasons.size > 20);
  for (const file of await readdir(join(repository, "agent"), { recursive: true })) {
    if (!file.endsWith(".ts") || file.startsWith("gen/")) continue;
    const text = await readFile(join(repository, "agent", file), "utf8");
    for (const reason of reasons) if (text.includes(reason)) reasons.delete(reason);
  }
  assert.deepEqual([...reasons], []);
});

function isShell({ language }: { readonly language: string }): boolean {
  return /^(sh|bash|shell)$/.test(language);
}

function isCommandLine(span: string): boolean {
  return /^(\.\/scripts\/)?socle [a-z-]/.test(span) && !/[|<>]|\.\.\./.test(span);
}
