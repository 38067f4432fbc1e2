import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import type { Command } from "commander";
import { buildProgram } from "../../../agent/cli/program.ts";
import { generatedFiles } from "../../../scripts/gen-man.ts";

const systemd = join(import.meta.dirname, "..", "..", "..", "systemd");

for (const [path, content] of generatedFiles()) {
  test(`systemd/${path} matches the code (else: node --import tsx scripts/gen-man.ts)`, async () => {
    assert.equal(await readFile(join(systemd, path), "utf8"), content);
  });
}

test("socle(1) has every command, those with subcommands too", () => {
  const page = new Map(generatedFiles()).get("man/socle.1") ?? "";
  const paths = (command: Command, path: string): string[] =>
    command.commands.flatMap((inner) => {
      const own = `${path} ${inner.name()}`;
      return [own, ...paths(inner, own)];
    });
  const all = paths(
    buildProgram("", () => () => Promise.resolve()),
    "socle",
  );
  assert.deepEqual(
    all.filter((path) => !page.includes(`.SS \\fB${path.replaceAll("-", "\\-")}\\fR`)),
    [],
  );
});
