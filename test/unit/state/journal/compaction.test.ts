import assert from "node:assert/strict";
import { rmdir, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { Journal } from "../../../../agent/state/journal/journal.ts";
import type { JournalOptions } from "../../../../agent/state/journal/options.ts";
import { folder } from "../../../support/state/folder.ts";
import { options, isCorrupt } from "../../../support/state/journal-stage.ts";

/** A live set that grows and shrinks, in the journal as sets and deletes. */
function liveSet(): {
  options: JournalOptions;
  apply: (record: Change) => Change;
  values: Map<string, number>;
} {
  const values = new Map<string, number>();
  const apply = (record: Change): Change => {
    if (record.value === null) values.delete(record.key);
    else values.set(record.key, record.value);
    return record;
  };
  return {
    values,
    apply,
    options: {
      ...options,
      compactAboveBytes: 20_000,
      replay: (record) => apply(record as Change),
      live: () => Array.from(values, ([key, value]) => ({ key, value })),
    },
  };
}

interface Change {
  readonly key: string;
  readonly value: number | null;
}

test("compaction keeps live records, also those appended meanwhile, and bounds the file", async (t) => {
  const path = join(await folder(t), "j");
  const set = liveSet();
  const journal = await Journal.open(path, set.options);
  let largest = 0;
  for (let round = 0; round < 400; round += 1) {
    const appends: Promise<void>[] = [];
    for (let i = 0; i < 10; i += 1) {
      const key = `key ${(round * 7 + i) % 50}`;
      const change = { key, value: (round + i) % 3 === 0 ? null : round * 10 + i };
      if (i % 2 === 0) journal.appendLazily(set.apply(change));
      else appends.push(journal.append(set.apply(change)));
    }
    await Promise.all(appends);
    largest = Math.max(largest, journal.bytes);
  }
  assert.ok(largest < 100_000, `${largest} bytes`);
  await journal.close();
  const again = liveSet();
  await (await Journal.open(path, again.options)).close();
  assert.deepEqual(again.values, set.values);
  assert.deepEqual(await readdir(join(path, "..")), ["j"]);
});

test("a failed compaction costs only space; one that a crash left is not read as the journal", async (t) => {
  const path = join(await folder(t), "j");
  const set = liveSet();
  await (await Journal.open(path, set.options)).close();
  await writeFile(`${path}.compact`, "half a snapshot");
  const journal = await Journal.open(path, set.options);
  await mkdir(`${path}.compact`);
  for (let i = 0; i < 2000; i += 1) {
    if (i % 50 === 0) await journal.append(set.apply({ key: "k", value: i }));
    else journal.appendLazily(set.apply({ key: "k", value: i }));
  }
  await journal.close();
  await rmdir(`${path}.compact`);
  const again = liveSet();
  await (await Journal.open(path, again.options)).close();
  assert.deepEqual(again.values, set.values);
});

test("compacted records are damage when a bit of them is flipped, never a torn tail", async (t) => {
  const path = join(await folder(t), "j");
  const set = liveSet();
  const journal = await Journal.open(path, set.options);
  for (let i = 0; i < 600; i += 1) await journal.append(set.apply({ key: `key ${i % 5}`, value: i }));
  const bytes = await readFile(path);
  await journal.close();
  const sealed = bytes.indexOf("sealed");
  assert.ok(sealed > 0, "it was compacted");
  const line = bytes.lastIndexOf("\n", bytes.lastIndexOf("\n", sealed) - 1) + 12;
  const broken = Buffer.from(bytes);
  broken[line] = (broken[line] ?? 0) ^ 1;
  await writeFile(path, broken.subarray(0, bytes.indexOf("\n", sealed) + 1));
  await assert.rejects(Journal.open(path, liveSet().options), isCorrupt);
});
