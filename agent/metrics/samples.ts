import { ownText } from "../kernel/text/own-text.ts";
import { formatValue, samplePrefix, type Family } from "./family.ts";

type Label = string | number;

/** Samples that are encoded or reused together: about a tenth of a millisecond of work. */
const blockSamples = 256;

/**
 * Consecutive samples. Parallel arrays, not an object for each: a large host has many thousands, which every scrape and every
 * garbage collection walks.
 */
interface Block {
  /** One value per sample. */
  readonly labels: (Label | undefined)[];
  /** Name and labels of each sample, escaped: the costly part of a line, and the identity of its series. */
  readonly prefixes: string[];
  readonly values: number[];
  /** The lines of exactly these samples. */
  encoded: Buffer | undefined;
}

/**
 * The samples of one family. Between scrapes, mostly the same series come in the same order, often with the same value: each
 * is looked up first at its last position, and an unchanged block is not rendered again.
 */
export class Samples {
  readonly family: Family;
  readonly #prefixOf: (labels: readonly Label[]) => string;
  /** Labels stored per sample: a histogram has a few more than its family. */
  readonly #width: number;
  #blocks: Block[] = [];
  #count = 0;
  /**
   * The series of this scrape. Built only once one has moved since the last scrape: until then they are as distinct as they
   * were in that.
   */
  #seen: Set<string> | undefined;

  constructor(family: Family, { prefixOf = plainPrefix(family), width = family.labels.length } = {}) {
    this.family = family;
    this.#prefixOf = prefixOf;
    this.#width = width;
  }

  begin(): void {
    // An aborted scrape left older samples behind its own.
    this.#cut();
    this.#count = 0;
    this.#seen = undefined;
  }

  /** Adds a sample; an undefined value is left out, as is a second sample of the same series. */
  add(value: number | undefined, labels: readonly Label[]): void {
    if (value === undefined) return;
    const at = this.#count % blockSamples;
    const block = this.#block();
    let isSame = at < block.values.length;
    for (let index = 0; isSame && index < this.#width; index += 1)
      isSame = block.labels[at * this.#width + index] === labels[index];
    if (isSame) this.#put(block, at, value);
    else this.#move(block, at, value, labels);
  }

  /** As `add`, with one or two labels. VMs have tens of thousands of these: no array is allocated for each. */
  addLabelled(value: number | undefined, first: Label, second?: Label): void {
    if (value === undefined) return;
    const at = this.#count % blockSamples;
    const block = this.#block();
    const { labels } = block;
    const isSame =
      at < block.values.length &&
      (second === undefined
        ? labels[at] === first
        : labels[2 * at] === first && labels[2 * at + 1] === second);
    if (isSame) this.#put(block, at, value);
    else this.#move(block, at, value, second === undefined ? [first] : [first, second]);
  }

  /** The encoded sample lines since `begin`; empty when there was no sample. */
  take(): readonly Buffer[] {
    this.#cut();
    return this.#blocks.map(encode);
  }

  /** The block of the next sample. */
  #block(): Block {
    const index = Math.floor(this.#count / blockSamples);
    return (this.#blocks[index] ??= { labels: [], prefixes: [], values: [], encoded: undefined });
  }

  /** A sample of the series at this position in the last scrape. */
  #put(block: Block, at: number, value: number): void {
    if (this.#seen !== undefined && !this.#isNew(block.prefixes[at] ?? "")) return;
    if (!Object.is(value, block.values[at])) {
      block.values[at] = value;
      block.encoded = undefined;
    }
    this.#count += 1;
    if (at + 1 === blockSamples) encode(block);
  }

  /** A sample of another series. */
  #move(block: Block, at: number, value: number, labels: readonly Label[]): void {
    const prefix = ownText(this.#prefixOf(labels));
    if (!this.#isNew(prefix)) return;
    for (let index = 0; index < this.#width; index += 1)
      block.labels[at * this.#width + index] = labels[index];
    block.prefixes[at] = prefix;
    block.values[at] = value;
    block.encoded = undefined;
    this.#count += 1;
    if (at + 1 === blockSamples) encode(block);
  }

  #isNew(prefix: string): boolean {
    this.#seen ??= new Set(this.#blocks.flatMap(({ prefixes }) => prefixes).slice(0, this.#count));
    if (this.#seen.has(prefix)) return false;
    this.#seen.add(prefix);
    return true;
  }

  /** Drops samples after the last one. */
  #cut(): void {
    const inLast = this.#count % blockSamples;
    this.#blocks.length = Math.ceil(this.#count / blockSamples);
    const last = this.#blocks.at(-1);
    if (last === undefined || inLast === 0 || last.values.length === inLast) return;
    last.labels.length = inLast * this.#width;
    last.prefixes.length = last.values.length = inLast;
    last.encoded = undefined;
  }
}

function plainPrefix({ name, labels }: Family): (values: readonly Label[]) => string {
  return (values) => samplePrefix(name, labels, values);
}

function encode(block: Block): Buffer {
  if (block.encoded !== undefined) return block.encoded;
  const { prefixes, values } = block;
  let text = "";
  for (let index = 0; index < values.length; index += 1) {
    text += `${prefixes[index] ?? ""}${formatValue(values[index] ?? NaN)}\n`;
  }
  block.encoded = Buffer.from(text, "utf8");
  return block.encoded;
}
