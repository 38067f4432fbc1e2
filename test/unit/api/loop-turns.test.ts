// No call holds the event loop for long, whatever the agent keeps: measured against encoding a page of VMs at
// once.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { program } from "../../support/programs.ts";

/** Lists and streams are encoded in slices, shorter than a whole page; the margin is the machine's noise. */
const MOST_PAGES = 3;

interface Measured {
  readonly pageMs: number;
  /** The longest turn of each call, in units of a page's turn. */
  readonly pages: Readonly<Record<string, number>>;
  readonly listed: readonly string[];
  readonly handled: readonly string[];
  readonly served: readonly string[];
}

test("no call takes a longer turn than a page, with many objects kept", async (t) => {
  const measure = [...program("test/support/api/measure-loop-turns.ts"), String(MOST_PAGES)];
  const { stdout } = await promisify(execFile)(process.execPath, measure);
  const { pageMs, pages, listed, handled, served } = JSON.parse(stdout) as Measured;
  assert.deepEqual(listed, served, "each method of the contract needs its calls in measure-loop-turns.ts");
  assert.deepEqual(handled, served);
  t.diagnostic(`a page: ${pageMs.toFixed(2)} ms; turns in pages: ${JSON.stringify(pages)}`);
  assert.deepEqual(
    Object.entries(pages).filter(([, turn]) => turn > MOST_PAGES),
    [],
  );
});
