import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../../../agent/kernel/clock.ts";
import { toSocleError } from "../../../../agent/kernel/errors.ts";
import { uploadOf } from "../../../../agent/vm/images/upload.ts";

const never = new AbortController().signal;

async function* sent(...chunks: readonly string[]): AsyncGenerator<Buffer> {
  for (const chunk of chunks) yield await Promise.resolve(Buffer.from(chunk));
}

async function read(sizeBytes: number, chunks: AsyncIterable<Buffer>, clock = systemClock): Promise<string> {
  const pieces: string[] = [];
  for await (const piece of uploadOf(sizeBytes, chunks, clock)(never).bytes) pieces.push(piece.toString());
  return pieces.join("");
}

const reasonOf = async (work: Promise<unknown>): Promise<string> =>
  await work.then(
    () => "none",
    (thrown: unknown) => toSocleError(thrown).reason,
  );

test("an upload gives the bytes that were announced", async () => {
  assert.equal(await read(5, sent("ab", "c", "de")), "abcde");
});

test("too few and too many bytes, and a caller that disconnects, are an incomplete upload", async () => {
  assert.equal(await reasonOf(read(5, sent("ab"))), "UPLOAD_INCOMPLETE");
  assert.equal(await reasonOf(read(5, sent("abc", "def"))), "UPLOAD_INCOMPLETE");
  const disconnected = { next: () => Promise.reject(new Error("disconnected")) };
  const broken = { [Symbol.asyncIterator]: () => disconnected };
  assert.equal(await reasonOf(read(5, broken)), "UPLOAD_INCOMPLETE");
});

test("a caller that sends nothing for long is an incomplete upload", async () => {
  const silent = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => undefined) }) };
  const hasty = { ...systemClock, sleep: () => Promise.resolve() };
  assert.equal(await reasonOf(read(5, silent, hasty)), "UPLOAD_INCOMPLETE");
});

test("a cancelled upload ends with the reason of its signal", async () => {
  const silent = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => undefined) }) };
  const end = new AbortController();
  const next = uploadOf(5, silent, systemClock)(end.signal).bytes[Symbol.asyncIterator]().next();
  end.abort(new Error("enough"));
  await assert.rejects(next, { message: "enough" });
});
