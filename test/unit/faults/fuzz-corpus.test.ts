import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { allTargets } from "../../faults/fuzz-targets.ts";
import { foreignElements } from "../../faults/fuzz-xml.ts";
import { noPython } from "../../support/libvirt/xml/oracles.ts";

interface Kept {
  readonly target: string;
  readonly text?: string;
  readonly base64?: string;
}

test("every input of the fuzz corpus is read or refused as the contract demands", async (t) => {
  const path = join(import.meta.dirname, "../../fixtures/corpus/fuzz.jsonl");
  const corpus = readFileSync(path, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Kept);
  let input = 0;
  const built: { input: number; text: string }[] = [];
  const targets = await allTargets(
    (text) => built.push({ input, text }),
    (undo) => t.after(undo),
  );
  const fed = new Set<string>();
  for (const { target: name, text, base64 = "" } of corpus) {
    input += 1;
    const target = targets.find((each) => each.name === name);
    assert.ok(target !== undefined, `line ${input}: no target ${name}`);
    const bytes = text === undefined ? Buffer.from(base64, "base64") : Buffer.from(text);
    await assert.doesNotReject(async () => target.feed(bytes), `line ${input}, for ${name}`);
    fed.add(name);
  }
  assert.deepEqual([...fed].sort(), targets.map(({ name }) => name).sort());
  assert.ok(built.length > 0);
  if (noPython === false) assert.deepEqual(foreignElements(built), []);
});
