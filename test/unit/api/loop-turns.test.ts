// No call holds the event loop for long, whatever the agent keeps: measured by what a page of VMs takes in one piece.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

/** Lists and streams are made in slices, shorter than a whole page; what is over is noise of the machine. */
const MOST_PAGES = 3;

interface Measured {
  readonly pageMs: number;
  /** By call, the turn that it takes in those of a page. */
  readonly pages: Readonly<Record<string, number>>;
  readonly listed: readonly string[];
  readonly handled: readonly string[];
  readonly served: readonly string[];
}

test("no call takes a turn that is longer than that of a page, with much kept", async (t) => {
  const script = join(import.meta.dirname, "../../support/api/measure-loop-turns.ts");
  const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", script]);
  const { pageMs, pages, listed, handled, served } = JSON.parse(stdout) as Measured;
  assert.deepEqual(listed, served, "each method of the contract has its calls in measure-loop-turns.ts");
  assert.deepEqual(handled, served);
  t.diagnostic(`a page: ${pageMs.toFixed(2)} ms; turns in pages: ${JSON.stringify(pages)}`);
  assert.deepEqual(
    Object.entries(pages).filter(([, turn]) => turn > MOST_PAGES),
    [],
  );
});
