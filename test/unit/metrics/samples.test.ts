import assert from "node:assert/strict";
import { test } from "node:test";
import { gauge } from "../../../agent/metrics/family.ts";
import { Samples } from "../../../agent/metrics/samples.ts";

type Sample = readonly [label: string, value: number | undefined];

/** The lines of one scrape. */
function scrape(samples: Samples, given: readonly Sample[]): string[] {
  samples.begin();
  for (const [label, value] of given) samples.add(value, [label]);
  return Buffer.concat(samples.take()).toString().split("\n").slice(0, -1);
}

const lines = (given: readonly Sample[]): string[] =>
  given.filter(([, value]) => value !== undefined).map(([label, value]) => `x{vm="${label}"} ${value ?? ""}`);

const many = (count: number, value: (index: number) => number): Sample[] =>
  Array.from({ length: count }, (_, index) => [`vm-${index}`, value(index)]);

test("every scrape shows its own values, whatever the previous one had", () => {
  const samples = new Samples(gauge("x", "Help.", ["vm"]));
  const scrapes: (readonly Sample[])[] = [
    many(700, (index) => index),
    many(700, (index) => index),
    many(700, (index) => (index === 300 ? -1 : index)),
    many(700, (index) => index).filter(([label]) => label !== "vm-5"),
    many(700, (index) => index),
    many(700, (index) => index).reverse(),
    many(200, (index) => index),
    many(256, (index) => index),
    many(512, (index) => index),
    [],
    many(3, (index) => index / 3),
    [
      ["vm-1", undefined],
      ["vm-0", NaN],
      ["vm-2", 1],
    ],
    [
      ["vm-0", NaN],
      ["vm-1", 0],
      ["vm-2", undefined],
    ],
  ];
  for (const given of scrapes) assert.deepEqual(scrape(samples, given), lines(given));
});

test("an aborted scrape leaves nothing behind in the next", () => {
  const samples = new Samples(gauge("x", "Help.", ["vm"]));
  const whole = many(600, (index) => index);
  scrape(samples, whole);
  samples.begin();
  for (const [label] of whole.slice(0, 300)) samples.add(-1, [label]);
  assert.deepEqual(scrape(samples, whole), lines(whole));
  assert.deepEqual(scrape(samples, whole.slice(0, 10)), lines(whole.slice(0, 10)));
});

test("a series is shown once per scrape, with its first value", () => {
  const samples = new Samples(gauge("x", "Help.", ["vm"]));
  for (let round = 0; round < 3; round += 1) {
    const text = scrape(samples, [
      ["a", 1],
      ["a", 2],
      ["b", 3],
      ["a", 4],
    ]);
    assert.deepEqual(text, ['x{vm="a"} 1', 'x{vm="b"} 3']);
  }
});
