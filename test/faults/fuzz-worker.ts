// Feeds its part of a fuzz campaign's inputs: SEED FROM TO STEP [MARK]. To reproduce one input:
//
//   node --expose-gc --import tsx test/faults/fuzz-worker.ts SEED INPUT INPUT+1 1
//
// Prints its progress as lines of JSON; the file MARK, if given, holds the number of the current input.
import { openSync, writeSync } from "node:fs";
import { within } from "../support/wait.ts";
import { Chance } from "./fuzz-chance.ts";
import type { FuzzTarget } from "./fuzz-target.ts";
import { allTargets } from "./fuzz-targets.ts";
import { foreignElements } from "./fuzz-xml.ts";

/** The processor time for one input; a longer one counts as a hang. */
const HANGS_AFTER_MS = 2000;
/** For a promise that never settles. */
const SETTLES_WITHIN_MS = 240_000;
const HEAP_GROWTH_BYTES = 32 * 2 ** 20;
const BATCH = 400;
/** One of so many built documents is checked with another parser. */
const LOOK_AT_ONE_OF = 10;

const [seed = 1, from = 0, to = 1, step = 1] = process.argv.slice(2, 6).map(Number);
const markPath = process.argv[6];
const mark = markPath === undefined ? undefined : openSync(markPath, "w");
const isAlone = to - from <= step;
const undo: (() => unknown)[] = [];
const documents: { input: number; text: string }[] = [];
const fed: Record<string, number> = {};
let input = from;
let built = 0;
let target = "";

const print = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
const violation = (what: string, at = input): void =>
  print({ violation: `input ${at} of seed ${seed} (${target}): ${what}` });
const text = (thrown: unknown): string =>
  thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
process.on("uncaughtException", (thrown) => violation(`uncaught exception: ${text(thrown)}`));
process.on("unhandledRejection", (thrown) => violation(`unhandled rejection: ${text(thrown)}`));

function take(document: string): void {
  built += 1;
  if (isAlone || built % LOOK_AT_ONE_OF === 0) documents.push({ input, text: document });
}

function look(): void {
  for (const { input: at, problem } of foreignElements(documents.splice(0))) violation(problem, at);
}

function heapBytes(): number {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function feed(targets: readonly FuzzTarget[]): Promise<void> {
  const chance = new Chance(seed, input);
  let ticket = chance.below(targets.reduce((sum, { share }) => sum + share, 0));
  const chosen = targets.find(({ share }) => (ticket -= share) < 0) as FuzzTarget;
  target = chosen.name;
  fed[target] = (fed[target] ?? 0) + 1;
  const before = process.cpuUsage();
  try {
    const feeding = chosen.feed(chosen.make(chance));
    if (feeding !== undefined) await within(feeding, SETTLES_WITHIN_MS, "its end");
  } catch (thrown) {
    violation(text(thrown));
  }
  const { user, system } = process.cpuUsage(before);
  const ms = (user + system) / 1000;
  if (ms > HANGS_AFTER_MS) violation(`took ${Math.round(ms)} ms of processor time`);
}

const targets = await allTargets(take, (each) => undo.push(each));
const warm = from + (to - from) / 4;
let warmBytes = 0;
for (; input < to; input += step) {
  if (mark !== undefined) writeSync(mark, `${input} `, 0);
  if (warmBytes === 0 && input >= warm) warmBytes = heapBytes();
  await feed(targets);
  if (documents.length >= BATCH) look();
  if (((input - from) / step) % 5000 === 4999) print({ at: input });
}
look();
const grownBytes = heapBytes() - warmBytes;
if (!isAlone && grownBytes > HEAP_GROWTH_BYTES)
  violation(`the heap grew by ${Math.round(grownBytes / 2 ** 20)} MiB over three quarters of the inputs`);
print({ done: true, fed, built, grownBytes });
for (const each of undo.reverse()) await each();
process.exit(0);
