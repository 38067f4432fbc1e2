import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { entriesOf } from "../../../agent/hardware/walk.ts";

test("the devices of a large machine are sorted without blocking the agent", async (context) => {
  const directory = await mkdtemp(join(tmpdir(), "socle-walk-"));
  context.after(() => rm(directory, { recursive: true }));
  const names = Array.from({ length: 4096 }, (_, number) => `0000:${(number * 37) % 4096}.0`);
  for (const name of names) await mkdir(join(directory, name));
  const natural = new Intl.Collator("en", { numeric: true });
  const cpuOf = async (work: () => unknown): Promise<number> => {
    const before = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(before);
    return user + system;
  };
  let entries: string[] = [];
  const [own, reference] = [[] as number[], [] as number[]];
  for (let round = 0; round < 5; round += 1) {
    own.push(await cpuOf(async () => (entries = await entriesOf(directory))));
    reference.push(await cpuOf(async () => (await readdir(directory)).sort(natural.compare)));
  }
  assert.deepEqual([entries.length, entries[2], entries[10]], [4096, "0000:2.0", "0000:10.0"]);
  const ratio = Math.min(...own) / Math.min(...reference);
  assert.ok(ratio < 3, `${ratio.toFixed(1)} times the CPU of one sort`);
});
