// Writes test/fixtures/corpus/fuzz.jsonl: of one seed's inputs, those that reach code of the agent that no earlier input
// reached. test/unit/faults/fuzz-corpus.test.ts replays them.
//
//   node --import tsx test/faults/fuzz-corpus.ts [INPUTS]   INPUTS of each target; 1500 by default
import { writeFileSync } from "node:fs";
import { Session, type Profiler } from "node:inspector/promises";
import { join } from "node:path";
import { Chance } from "./fuzz-chance.ts";
import { allTargets } from "./fuzz-targets.ts";

const SEED = 12;
/** Small inputs first, since large ones reach little more code. */
const LARGEST_BYTES = [4000, 14_000];
const MOST_OF_A_TARGET = 60;
const TARGET_BYTES = 25_000;

const inputs = Number(process.argv[2] ?? 1500);
const session = new Session();
session.connect();
await session.post("Profiler.enable");
await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
/** The executed ranges so far, by script. */
const reached = new Map<string, Uint8Array>();

/** The agent's newly executed code since the last call, in characters. */
async function news(): Promise<number> {
  const { result } = await session.post("Profiler.takePreciseCoverage");
  let count = 0;
  for (const { url, functions } of result) if (url.includes("/agent/")) count += newsOf(url, functions);
  return count;
}

function newsOf(url: string, functions: readonly Profiler.FunctionCoverage[]): number {
  const ranges = functions.flatMap((each) => each.ranges);
  if (!ranges.some((range) => range.count > 0)) return 0;
  const end = Math.max(...ranges.map(({ endOffset }) => endOffset));
  const ran = new Uint8Array(end);
  // Outer ranges precede inner ones.
  for (const { ranges: nested } of functions.toSorted((a, b) => sizeOf(b) - sizeOf(a)))
    for (const { startOffset, endOffset, count } of nested)
      ran.fill(count > 0 ? 1 : 0, startOffset, endOffset);
  const before = reached.get(url) ?? new Uint8Array(end);
  const all = before.length < end ? new Uint8Array(end) : before;
  if (all !== before) all.set(before);
  let count = 0;
  for (let at = 0; at < end; at += 1)
    if (ran[at] === 1 && all[at] === 0) {
      all[at] = 1;
      count += 1;
    }
  reached.set(url, all);
  return count;
}

function sizeOf({ ranges: [whole] }: Profiler.FunctionCoverage): number {
  return whole === undefined ? 0 : whole.endOffset - whole.startOffset;
}

const undo: (() => unknown)[] = [];
const lines: string[] = [];
for (const target of await allTargets(
  () => undefined,
  (each) => undo.push(each),
)) {
  let [kept, bytes] = [0, 0];
  for (const largestBytes of LARGEST_BYTES)
    for (let at = 0; at < inputs && kept < MOST_OF_A_TARGET && bytes < TARGET_BYTES; at += 1) {
      const input = target.make(new Chance(SEED, at));
      if (input.length > largestBytes) continue;
      await target.feed(input);
      if ((await news()) === 0) continue;
      const text = input.toString();
      const content = Buffer.from(text).equals(input) ? { text } : { base64: input.toString("base64") };
      lines.push(`${JSON.stringify({ target: target.name, ...content })}\n`);
      kept += 1;
      bytes += input.length;
    }
  console.log(`${target.name}: ${kept} inputs, ${bytes} bytes`);
}
writeFileSync(join(import.meta.dirname, "../fixtures/corpus/fuzz.jsonl"), lines.join(""));
for (const each of undo.reverse()) await each();
process.exit(0);
