import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { FrameParser, FrameType } from "../../../../agent/libvirt/rpc/frame.ts";
import { STREAM_MESSAGE_MAX_BYTES, StreamChunks } from "../../../../agent/libvirt/rpc/stream-chunks.ts";
import { frame } from "../../../support/libvirt/fake-daemon.ts";

const CONTINUE = 2;
const SLAB_BYTES = 1024 * 1024;

function message(data: Uint8Array): Buffer {
  return frame({ procedure: 209, type: FrameType.STREAM, serial: 1, status: CONTINUE }, data);
}

/** The chunks of messages that a socket reads in pieces of these sizes, the last of them repeated. */
function read(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const got: Buffer[] = [];
  const chunks = new StreamChunks((chunk) => got.push(chunk));
  const parser = new FrameParser(
    () => chunks.flush(),
    (part, leftBytes) => chunks.add(part, leftBytes),
  );
  let at = 0;
  for (let turn = 0; at < bytes.length; turn += 1) {
    const target = chunks.next();
    const size = Math.min(sizes[turn] ?? sizes.at(-1) ?? 1, target.length, bytes.length - at);
    bytes.copy(target, 0, at, at + size);
    parser.push(target.subarray(0, size));
    at += size;
  }
  return got;
}

describe("chunks of a stream", () => {
  it("equal the sent data, wherever the reads end", () => {
    const lengths = [
      1,
      24,
      28,
      3000,
      STREAM_MESSAGE_MAX_BYTES,
      24,
      5000,
      20_000,
      STREAM_MESSAGE_MAX_BYTES,
      262_000,
    ];
    const sent = lengths.map((length) => randomBytes(length));
    const bytes = Buffer.concat(sent.map(message));
    const expected = Buffer.concat(sent);
    for (const sizes of [[bytes.length], [131_072], [65_537], [4099], [27], [10, 18, 7, 100, 1000, 60_000]])
      assert.ok(Buffer.concat(read(bytes, sizes)).equals(expected), `reads of ${sizes.join(", ")} bytes`);
  });

  it("stay where the socket put them, one for all messages that libvirtd makes of one read of a volume", () => {
    const pieces = Array.from({ length: 12 }, () => randomBytes(256 * 1024));
    const sent = pieces.flatMap((piece) => [
      message(piece.subarray(0, STREAM_MESSAGE_MAX_BYTES)),
      message(piece.subarray(STREAM_MESSAGE_MAX_BYTES)),
    ]);
    const got = read(Buffer.concat(sent), [70_000]);
    assert.ok(Buffer.concat(got).equals(Buffer.concat(pieces)));
    // Where a slab ends in the middle of a piece, that is two chunks.
    assert.ok(got.length <= 12 + 4, `${got.length} chunks`);
    for (const chunk of got) assert.equal(chunk.buffer.byteLength, SLAB_BYTES);
  });

  it("hold no slab when they are small, and are delivered at once", () => {
    const got: Buffer[] = [];
    const chunks = new StreamChunks((chunk) => got.push(chunk));
    const parser = new FrameParser(
      () => chunks.flush(),
      (part, leftBytes) => chunks.add(part, leftBytes),
    );
    const first = chunks.next();
    for (const key of ["a", "b"]) {
      const target = chunks.next();
      assert.equal(target.byteOffset, first.byteOffset, "the same memory is reused");
      parser.push(target.subarray(0, message(Buffer.from(key)).copy(target)));
      assert.equal(got.at(-1)?.toString(), key);
      assert.ok((got.at(-1)?.buffer.byteLength ?? Infinity) < SLAB_BYTES);
    }
    assert.deepEqual(got.map(String), ["a", "b"]);
  });
});
