import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { entriesOf } from "../../../agent/hardware/walk.ts";

test("the devices of a large machine are put in order without holding the agent up", async (context) => {
  const directory = await mkdtemp(join(tmpdir(), "socle-walk-"));
  context.after(() => rm(directory, { recursive: true }));
  const names = Array.from({ length: 4096 }, (_, number) => `0000:${(number * 37) % 4096}.0`);
  for (const name of names) await mkdir(join(directory, name));
  await entriesOf(directory);
  const before = process.cpuUsage();
  const entries = await entriesOf(directory);
  const { user } = process.cpuUsage(before);
  assert.deepEqual([entries.length, entries[2], entries[10]], [4096, "0000:2.0", "0000:10.0"]);
  assert.ok(user < 30_000, `${user / 1000} ms of a CPU`);
});
