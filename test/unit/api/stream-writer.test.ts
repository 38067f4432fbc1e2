import assert from "node:assert/strict";
import { test } from "node:test";
import { StreamWriter } from "../../../agent/api/call-streams.ts";
import { Outbox, outboxBounds } from "../../../agent/api/limits/outbox.ts";
import { FakeClock } from "../../support/host/fake-clock.ts";

const LARGE = Buffer.alloc(256 * 1024);
const SMALL = Buffer.alloc(24 * 1024);

/** A stream of one caller, who takes messages when the test says so. */
class Stream {
  readonly #taken: (() => void)[] = [];
  readonly #end = new AbortController();
  readonly #writer: StreamWriter;

  constructor(outbox: Outbox) {
    const sink = {
      writableNeedDrain: false,
      write: (_bytes: Buffer, taken: () => void): boolean => this.#taken.push(taken) < 100,
    };
    const live = {
      signal: this.#end.signal,
      account: "scheduler",
      holds: () => undefined,
      reset: () => assert.fail("the call was reset"),
    };
    this.#writer = new StreamWriter(sink, live, outbox);
  }

  get unread(): number {
    return this.#taken.length;
  }

  take(): void {
    this.#taken.shift()?.();
  }

  /** Messages without end, until the stream is ended. Rejects with what ended it. */
  async writeAll(bytes: Buffer): Promise<void> {
    for (;;) await this.#writer.write(bytes);
  }

  end(): void {
    this.#end.abort(new Error("over"));
  }
}

/** Resolves once all writers wait for their callers. */
const untilStill = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function startStreams(
  count: number,
  bytes: Buffer,
): { readonly streams: Stream[]; end: () => Promise<void> } {
  const outbox = new Outbox(outboxBounds, new FakeClock());
  const streams = Array.from({ length: count }, () => new Stream(outbox));
  const ended = streams.map((stream) => assert.rejects(stream.writeAll(bytes), { message: "over" }));
  return {
    streams,
    end: async () => {
      for (const stream of streams) stream.end();
      await Promise.all(ended);
      outbox.close();
    },
  };
}

test("a large message is made while another is on its way, and no third one", async () => {
  const { streams, end } = startStreams(1, LARGE);
  const [stream] = streams;
  await untilStill();
  assert.equal(stream?.unread, 2);
  stream.take();
  await untilStill();
  assert.equal(stream.unread, 2);
  await end();
});

test("of small messages no more than 64 KiB wait, and one", async () => {
  const { streams, end } = startStreams(1, SMALL);
  await untilStill();
  assert.equal(streams[0]?.unread, 3);
  await end();
});

test("many slow streams of one caller have one message each, and are not refused for their number", async () => {
  const { streams, end } = startStreams(28, LARGE);
  await untilStill();
  const counts = streams.map(({ unread }) => unread);
  assert.deepEqual(
    counts.slice(4),
    Array.from({ length: 24 }, () => 1),
  );
  for (const stream of streams) stream.take();
  await untilStill();
  assert.ok(streams.every(({ unread }) => unread >= 1));
  // Rejects for a stream that was refused.
  await end();
});
