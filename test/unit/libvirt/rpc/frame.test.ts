import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  beginFrame,
  endFrame,
  FrameError,
  FrameParser,
  FrameType,
} from "../../../../agent/libvirt/rpc/frame.ts";
import { XdrWriter } from "../../../../agent/libvirt/rpc/xdr.ts";
import { frame, KEEPALIVE, REMOTE, type Words } from "../../../support/libvirt/fake-daemon.ts";

interface Seen {
  readonly procedure: number;
  readonly serial: number;
  readonly status: number;
  readonly body: string;
}

function parser(): { seen: Seen[]; push: (chunk: Buffer) => void } {
  const seen: Seen[] = [];
  const parsing = new FrameParser(({ procedure, serial, status, body }) => {
    seen.push({ procedure, serial, status, body: body.rest().toString() });
  });
  return { seen, push: (chunk) => parsing.push(chunk) };
}

const stream = Buffer.concat([
  frame({ procedure: 1, type: FrameType.REPLY, serial: 7 }, Buffer.from("abcdefgh")),
  frame({ program: KEEPALIVE, procedure: 1, type: FrameType.MESSAGE }),
  frame({ procedure: 201, type: FrameType.STREAM, serial: 8, status: 2 }, Buffer.from("odd")),
  frame({ procedure: 3, type: FrameType.REPLY, serial: 0xffffffff, status: 1 }, Buffer.from("ijkl")),
]);
const expected: Seen[] = [
  { procedure: 1, serial: 7, status: 0, body: "abcdefgh" },
  { procedure: 1, serial: 0, status: 0, body: "" },
  { procedure: 201, serial: 8, status: 2, body: "odd" },
  { procedure: 3, serial: 0xffffffff, status: 1, body: "ijkl" },
];

describe("the frame parser", () => {
  it("parses several frames of one chunk", () => {
    const { seen, push } = parser();
    push(stream);
    assert.deepEqual(seen, expected);
  });

  it("parses them one byte at a time", () => {
    const { seen, push } = parser();
    for (const byte of stream) push(Buffer.from([byte]));
    assert.deepEqual(seen, expected);
  });

  it("parses them cut at every place, and at every two places", () => {
    for (let first = 0; first <= stream.length; first += 1) {
      for (let second = first; second <= stream.length; second += 1) {
        const { seen, push } = parser();
        for (const chunk of [
          stream.subarray(0, first),
          stream.subarray(first, second),
          stream.subarray(second),
        ]) {
          // As with a socket, the buffer of a chunk is reused for the next one.
          const reused = Buffer.from(chunk);
          push(reused);
          reused.fill(0xee);
        }
        assert.deepEqual(seen, expected, `cut at ${first} and ${second}`);
      }
    }
  });

  it("delivers a frame as soon as its last byte has arrived", () => {
    const { seen, push } = parser();
    push(stream.subarray(0, 35));
    assert.equal(seen.length, 0);
    push(stream.subarray(35, 36));
    assert.equal(seen.length, 1);
  });

  const good: Words = { procedure: 1, type: FrameType.REPLY };
  const bad: readonly [string, Words][] = [
    ["shorter than its header", { ...good, length: 27 }],
    ["without length", { ...good, length: 0 }],
    ["longer than 32 MiB + 4", { ...good, length: 32 * 1024 * 1024 + 5 }],
    ["of 4 GiB", { ...good, length: 0xffffffff }],
    ["of an unknown program", { ...good, program: 0x20008088 }],
    ["of another version", { ...good, version: 2 }],
    ["that is a call", { ...good, type: FrameType.CALL }],
    ["of a call with file descriptors", { ...good, type: 4 }],
    ["of an unknown status", { ...good, status: 3 }],
    ["of a negative status", { ...good, status: -1 }],
  ];
  for (const [name, words] of bad) {
    it(`refuses a frame ${name}, whole or cut`, () => {
      assert.throws(() => parser().push(frame(words)), FrameError);
      const { push } = parser();
      assert.throws(() => {
        for (const byte of frame(words)) push(Buffer.from([byte]));
      }, FrameError);
    });
  }

  it("allocates nothing for a refused length, and accepts the largest allowed", () => {
    const before = process.memoryUsage().arrayBuffers;
    assert.throws(() => parser().push(frame({ ...good, length: 32 * 1024 * 1024 + 5 })));
    assert.ok(process.memoryUsage().arrayBuffers - before < 1024 * 1024);
    const { seen, push } = parser();
    push(frame({ ...good, length: 32 * 1024 * 1024 + 4 }));
    push(Buffer.alloc(32 * 1024 * 1024 + 4 - 28, 0x61));
    assert.equal(seen[0]?.body.length, 32 * 1024 * 1024 + 4 - 28);
  });
});

it("writes a call's frame in libvirt's layout", () => {
  const writer = new XdrWriter();
  const start = beginFrame(writer, { program: REMOTE, procedure: 66, type: 0, serial: 9, status: 0 });
  writer.uint(5);
  endFrame(writer, start);
  assert.deepEqual(writer.take(), frame({ procedure: 66, type: 0, serial: 9 }, Buffer.from([0, 0, 0, 5])));
});
