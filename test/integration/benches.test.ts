import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { program } from "../support/programs.ts";

const directory = join(import.meta.dirname, "../bench");
const files = (await readdir(directory)).filter((name) => name.endsWith(".bench.ts"));

// Figures from a machine that runs tests mean nothing: this only shows that each bench works.
describe("a small run of the bench", { concurrency: 2, skip: libvirtdUnavailable() }, () => {
  for (const file of files) {
    const name = file.replace(".bench.ts", "");
    test(name, async () => {
      const args = [...program(`test/bench/${file}`), "--quick"];
      const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 600_000 });
      const line = stdout.trim().split("\n").at(-1) ?? "";
      const result = JSON.parse(line) as {
        bench: string;
        figures: Record<string, number | null>;
        bound: object;
      };
      assert.equal(result.bench, name);
      assert.ok(Object.keys(result.figures).length > 2, line);
      for (const [figure, value] of Object.entries(result.figures))
        assert.ok(typeof value === "number", `${figure} of ${name} is ${value}`);
      for (const figure of Object.keys(result.bound)) assert.ok(figure in result.figures, figure);
    });
  }
});
