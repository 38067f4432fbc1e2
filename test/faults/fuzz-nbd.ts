import { isSocleError } from "../../agent/kernel/errors.ts";
import {
  bytesAnswer,
  negotiate,
  readChunk,
  runsAnswer,
  type Answer,
  type ByteSource,
  type Export,
} from "../../agent/kernel/nbd/nbd-wire.ts";
import { chunkOf, handshake } from "../support/vm/nbd-server.ts";
import type { Chance } from "./fuzz-chance.ts";
import type { FuzzTarget } from "./fuzz-target.ts";

const RANGE = { offsetBytes: 65_536, lengthBytes: 4096 };
const EXPORT: Export = { sizeBytes: 2 ** 20, allocation: 1, changes: 2 };
const END = "the input has ended";

const u32 = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, at) => bytes.writeUInt32BE(value, 4 * at));
  return bytes;
};
const at = (offset: number): Buffer => Buffer.concat([u32(0), u32(offset)]);

/** Answers to the read (cookie 1) and to the query (cookie 2) that the feed waits for. */
const answers: readonly Buffer[] = [
  chunkOf({ type: 1, cookie: 1, done: true }, Buffer.concat([at(RANGE.offsetBytes), Buffer.alloc(4096, 7)])),
  Buffer.concat([
    chunkOf({ type: 2, cookie: 1 }, Buffer.concat([at(RANGE.offsetBytes), u32(1024)])),
    chunkOf(
      { type: 1, cookie: 1, done: true },
      Buffer.concat([at(RANGE.offsetBytes + 1024), Buffer.alloc(3072)]),
    ),
  ]),
  Buffer.concat([
    chunkOf({ type: 5, cookie: 2 }, u32(1, 1024, 3, 8192, 0)),
    chunkOf({ type: 5, cookie: 2 }, u32(2, 4096, 1)),
    chunkOf({ type: 0, cookie: 2, done: true }, Buffer.alloc(0)),
  ]),
  chunkOf({ type: 32_769, cookie: 1, done: true }, Buffer.concat([u32(5), Buffer.from([0, 1, 97])])),
];

/** The bytes of a QEMU that a guest has taken over: the reader gets what it asked for, or a refusal. */
export const nbd: FuzzTarget = {
  name: "nbd",
  share: 40,
  make: (chance: Chance) => {
    const isHandshake = chance.is(50);
    const whole = isHandshake ? handshake(2 ** 20, "changes") : chance.of(answers);
    return Buffer.concat([
      Buffer.from([isHandshake ? 1 : 0]),
      chance.is(90) ? chance.mutated(whole) : chance.bytes(chance.below(400)),
    ]);
  },
  feed: async (input) => {
    const source = bytesOf(input.subarray(1));
    try {
      if (input[0] === 1) await feedHandshake(source);
      else await feedAnswers(source);
    } catch (thrown) {
      if (thrown instanceof Error && thrown.message === END) return;
      if (!isSocleError(thrown) || thrown.reason !== "BACKUP_READ_FAILED") throw thrown;
    }
  },
};

async function feedHandshake(source: ByteSource): Promise<void> {
  const found = await negotiate(source, () => undefined, { name: "vda", changes: "changes" });
  if (!Number.isSafeInteger(found.sizeBytes) || found.sizeBytes < 0)
    throw new Error(`size ${found.sizeBytes}`);
}

async function feedAnswers(source: ByteSource): Promise<void> {
  const sumOf = (runs: readonly { readonly lengthBytes: number }[]): number =>
    runs.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  const waiting = new Map<number, Answer>();
  const wrong = (what: string): void => {
    throw new Error(what);
  };
  const refused = (): void => undefined;
  const onBytes = (bytes: Buffer | undefined): void => {
    if (bytes !== undefined && bytes.length !== RANGE.lengthBytes) wrong(`${bytes.length} bytes`);
  };
  waiting.set(1, bytesAnswer(RANGE, Buffer.alloc(RANGE.lengthBytes), onBytes, refused));
  const onRuns = ({ zero, changed = [] }: Parameters<Parameters<typeof runsAnswer>[2]>[0]): void => {
    for (const runs of [zero, changed])
      if (sumOf(runs) > RANGE.lengthBytes || sumOf(runs) === 0) wrong(`runs of ${sumOf(runs)} bytes`);
  };
  waiting.set(2, runsAnswer(RANGE, EXPORT, onRuns, refused));
  while (waiting.size > 0) await readChunk(source, waiting);
}

function bytesOf(input: Buffer): ByteSource {
  let taken = 0;
  return {
    take(count, into) {
      if (count < 0 || count > 4 * 2 ** 20) return Promise.reject(new Error(`${count} bytes are asked for`));
      if (taken + count > input.length) return Promise.reject(new Error(END));
      taken += count;
      const bytes = input.subarray(taken - count, taken);
      if (into !== undefined) bytes.copy(into);
      return Promise.resolve(into ?? bytes);
    },
  };
}
