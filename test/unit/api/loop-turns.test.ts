// No call holds the event loop for longer than a page of a list does, whatever the agent keeps.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

/** A page of 250 VMs is made in one turn, and lists are measured besides; what is over is noise of the machine. */
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
  const script = join(import.meta.dirname, "measure-loop-turns.ts");
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
