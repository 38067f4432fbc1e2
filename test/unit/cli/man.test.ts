import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { generatedFiles } from "../../../scripts/gen-man.ts";

const systemd = join(import.meta.dirname, "..", "..", "..", "systemd");

for (const [path, content] of generatedFiles()) {
  test(`systemd/${path} says what the code does (else: node --import tsx scripts/gen-man.ts)`, async () => {
    assert.equal(await readFile(join(systemd, path), "utf8"), content);
  });
}
