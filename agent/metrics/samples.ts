import { formatValue, samplePrefix, type Family } from "./family.ts";

/** Samples that are encoded together, or taken over as they are: about a tenth of a millisecond of work. */
const blockSamples = 256;
/** Known series beyond twice what a scrape uses, and this many, are forgotten. */
const knownSlack = 256;

interface Series {
  readonly labels: readonly (string | number)[];
  /** Name and labels, escaped: the costly part of a line. It is also what makes a series this one and no other. */
  readonly prefix: string;
  /** The scrape that last had a sample of it. */
  scrape: number;
}

/** Samples that follow one another. Parallel arrays: a large host has many thousands, and a scrape walks them all. */
interface Block {
  readonly series: Series[];
  readonly values: number[];
  /** The lines of exactly these samples. */
  encoded: Buffer | undefined;
}

/**
 * The samples of one family. From one scrape to the next the same series come in the same order, mostly, and many have
 * the same value: each is first looked for where it was the last time, and a block in which nothing changed is not
 * written again.
 */
export class Samples {
  readonly family: Family;
  readonly #prefixOf: (labels: readonly (string | number)[]) => string;
  readonly #known = new Map<string, Series>();
  #blocks: Block[] = [];
  #scrape = 0;
  #count = 0;

  constructor(family: Family, prefixOf = plainPrefix(family)) {
    this.family = family;
    this.#prefixOf = prefixOf;
  }

  begin(): void {
    this.#scrape += 1;
    this.#count = 0;
  }

  /** Adds a sample; one whose value is not known is left out, as is a second one of the same series. */
  add(value: number | undefined, labels: readonly (string | number)[]): void {
    if (value === undefined) return;
    const before = this.#before();
    this.#put(value, before !== undefined && areSame(before.labels, labels) ? before : this.#find(labels));
  }

  /** As `add`, of a family with one label or two. VMs have tens of thousands of these: no list is made for each. */
  addLabelled(value: number | undefined, first: string | number, second?: string | number): void {
    if (value === undefined) return;
    const before = this.#before();
    if (before !== undefined && before.labels[0] === first && before.labels[1] === second)
      this.#put(value, before);
    else this.#put(value, this.#find(second === undefined ? [first] : [first, second]));
  }

  /** The series that had the next sample's place in the last scrape. */
  #before(): Series | undefined {
    const at = this.#count % blockSamples;
    return this.#blocks[(this.#count - at) / blockSamples]?.series[at];
  }

  #put(value: number, series: Series): void {
    if (series.scrape === this.#scrape) return;
    series.scrape = this.#scrape;
    const at = this.#count % blockSamples;
    const block = (this.#blocks[(this.#count - at) / blockSamples] ??= {
      series: [],
      values: [],
      encoded: undefined,
    });
    if (series !== block.series[at] || !Object.is(value, block.values[at])) {
      block.series[at] = series;
      block.values[at] = value;
      block.encoded = undefined;
    }
    this.#count += 1;
    if (at + 1 === blockSamples) encode(block);
  }

  /** The encoded sample lines since `begin`; empty when there was no sample. */
  take(): readonly Buffer[] {
    const inLast = this.#count % blockSamples;
    this.#blocks.length = Math.ceil(this.#count / blockSamples);
    const last = this.#blocks.at(-1);
    if (last !== undefined && inLast > 0 && last.series.length > inLast) {
      last.series.length = last.values.length = inLast;
      last.encoded = undefined;
    }
    if (this.#known.size > this.#count * 2 + knownSlack) {
      for (const [prefix, { scrape }] of this.#known) if (scrape !== this.#scrape) this.#known.delete(prefix);
    }
    return this.#blocks.map(encode);
  }

  #find(labels: readonly (string | number)[]): Series {
    const prefix = this.#prefixOf(labels);
    let series = this.#known.get(prefix);
    if (series === undefined) {
      series = { labels, prefix, scrape: 0 };
      this.#known.set(prefix, series);
    }
    return series;
  }
}

function plainPrefix({ name, labels }: Family): (values: readonly (string | number)[]) => string {
  return (values) => samplePrefix(name, labels, values);
}

function areSame(a: readonly (string | number)[], b: readonly (string | number)[]): boolean {
  for (let index = 0; index < b.length; index += 1) if (a[index] !== b[index]) return false;
  return true;
}

function encode(block: Block): Buffer {
  if (block.encoded !== undefined) return block.encoded;
  const { series, values } = block;
  let text = "";
  for (let index = 0; index < series.length; index += 1) {
    text += `${series[index]?.prefix ?? ""}${formatValue(values[index] ?? NaN)}\n`;
  }
  block.encoded = Buffer.from(text, "utf8");
  return block.encoded;
}
