import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { NbdReader, type Extent, type Piece } from "../../../../agent/kernel/nbd/nbd-reader.ts";
import {
  chunkOf,
  dataOf,
  handshake,
  nbdServer,
  statusOf,
  type Request,
} from "../../../support/vm/nbd-server.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

async function serve(
  t: TestContext,
  hello: Buffer,
  answer: Parameters<typeof nbdServer>[1],
): Promise<(changes?: string, pieceBytes?: number) => Promise<NbdReader>> {
  const directory = await mkdtemp(join(tmpdir(), "socle-nbd-"));
  const socket = join(directory, "s");
  const server = nbdServer(hello, answer).listen(socket);
  await once(server, "listening");
  const end = new AbortController();
  t.after(async () => {
    end.abort();
    server.close();
    await rm(directory, { recursive: true });
  });
  return (changes, pieceBytes = 256 * KIB) =>
    NbdReader.open({ socket, exportName: "vda", changes, pieceBytes }, end.signal);
}

const all = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
};
const short = ({ offsetBytes, lengthBytes, zero }: Extent) => [offsetBytes / KIB, lengthBytes / KIB, zero];
const read = ({ cookie, offset, length }: Request): Buffer =>
  dataOf(cookie, offset, Buffer.alloc(length, offset / (64 * KIB)));

test("a full backup's extents are the blocks with data, merged over answers that stop short", async (t) => {
  const open = await serve(t, handshake(MIB), ({ cookie, offset, length }) =>
    statusOf(
      cookie,
      1,
      offset === 0
        ? [
            [64 * KIB, 3],
            [128 * KIB, 0],
          ]
        : [
            [64 * KIB, 0],
            [length - 64 * KIB, 2],
          ],
      true,
    ),
  );
  const reader = await open();
  assert.equal(reader.sizeBytes, MIB);
  assert.deepEqual((await all(reader.extents(0))).map(short), [[64, 192, false]]);
  reader.close();
});

test("an increment's extents are the changed blocks, of which some are zeros", async (t) => {
  const open = await serve(t, handshake(MIB, "changes"), (request) =>
    request.type === 7
      ? Buffer.concat([
          statusOf(request.cookie, 1, [
            [128 * KIB, 0],
            [request.length - 128 * KIB, 2],
          ]),
          statusOf(
            request.cookie,
            2,
            [
              [64 * KIB, 0],
              [128 * KIB, 1],
              [request.length - 192 * KIB, 0],
            ],
            true,
          ),
        ])
      : read(request),
  );
  const reader = await open("changes");
  assert.deepEqual((await all(reader.extents(0))).map(short), [
    [64, 64, false],
    [128, 64, true],
  ]);
  const pieces: Piece[] = await all(reader.pieces(0));
  assert.deepEqual(
    pieces.map(({ offsetBytes, lengthBytes, bytes }) => [offsetBytes / KIB, lengthBytes / KIB, bytes?.[0]]),
    [
      [64, 64, 1],
      [128, 64, undefined],
    ],
  );
  reader.close();
});

test("the bytes are right however they arrive, and holes are zeros although their buffer had other bytes", async (t) => {
  const size = 4 * MIB;
  const byteAt = (offset: number): number => 1 + ((offset / 512) % 251);
  const isHole = (offset: number): boolean => (offset / (64 * KIB)) % 3 === 1;
  const partOf = (cookie: number, offset: number): Buffer => {
    if (!isHole(offset)) {
      const bytes = Buffer.alloc(64 * KIB);
      for (let at = 0; at < bytes.length; at += 512) bytes.fill(byteAt(offset + at), at, at + 512);
      return dataOf(cookie, offset, bytes, false);
    }
    const hole = Buffer.alloc(12);
    hole.writeBigUInt64BE(BigInt(offset));
    hole.writeUInt32BE(64 * KIB, 8);
    return chunkOf({ type: 2, cookie }, hole);
  };
  const partsOf = ({ cookie, offset, length }: Request): Buffer[] =>
    Array.from({ length: length / (64 * KIB) }, (_, at) => partOf(cookie, offset + at * 64 * KIB));
  const end = (cookie: number): Buffer => chunkOf({ type: 0, cookie, done: true }, Buffer.alloc(0));
  const cases = [Infinity, 100_003, 4099].flatMap((fragmentBytes) =>
    [256 * KIB, MIB].map((pieceBytes) => ({ fragmentBytes, pieceBytes })),
  );
  for (const { fragmentBytes, pieceBytes } of cases) {
    const open = await serve(t, handshake(size), (request, socket) => {
      if (request.type === 7) return statusOf(request.cookie, 1, [[request.length, 0]], true);
      const answer = Buffer.concat([...partsOf(request).toReversed(), end(request.cookie)]);
      for (let at = 0; at < answer.length; at += fragmentBytes)
        socket.write(answer.subarray(at, at + fragmentBytes));
      return undefined;
    });
    const reader = await open(undefined, pieceBytes);
    let next = 0;
    for await (const { offsetBytes, lengthBytes, bytes } of reader.pieces(0)) {
      assert.equal(offsetBytes, next);
      assert.equal(lengthBytes, pieceBytes);
      next += lengthBytes;
      for (let at = 0; at < lengthBytes; at += 512) {
        const expected = isHole(Math.floor((offsetBytes + at) / (64 * KIB)) * 64 * KIB)
          ? 0
          : byteAt(offsetBytes + at);
        const found = bytes?.subarray(at, at + 512) ?? Buffer.alloc(512);
        assert.ok(found.equals(Buffer.alloc(512, expected)), `at ${offsetBytes + at}`);
      }
    }
    assert.equal(next, size);
    reader.close();
  }
});

test("answers that do not fit their requests are refused", async (t) => {
  const status = ({ cookie, length }: Request): Buffer =>
    statusOf(
      cookie,
      1,
      [[128 * KIB, 0], ...(length > 128 * KIB ? [[length - 128 * KIB, 3] as const] : [])],
      true,
    );
  const hostile: [string, (request: Request) => Buffer][] = [
    ["other bytes", ({ cookie, offset, length }) => dataOf(cookie, offset + 512, Buffer.alloc(length))],
    ["too many bytes", ({ cookie, offset, length }) => dataOf(cookie, offset, Buffer.alloc(length + 1))],
    ["too few bytes", ({ cookie, offset, length }) => dataOf(cookie, offset, Buffer.alloc(length - 1))],
    ["another request", ({ cookie, offset, length }) => dataOf(cookie + 9, offset, Buffer.alloc(length))],
    ["blocks for bytes", status],
    ["no NBD", () => Buffer.alloc(64, 65)],
  ];
  // 128 KiB in parts of one byte, each of which costs a search.
  const inBytes = ({ cookie, offset, length }: Request): Buffer =>
    Buffer.concat(
      Array.from({ length }, (_, at) => dataOf(cookie, offset + at, Buffer.alloc(1), at === length - 1)),
    );
  hostile.push(["one-byte parts", inBytes]);
  for (const [what, reply] of hostile) {
    const open = await serve(t, handshake(MIB), (request) =>
      request.type === 7 ? status(request) : reply(request),
    );
    const reader = await open();
    await assert.rejects(all(reader.pieces(0)), { reason: "BACKUP_READ_FAILED" }, what);
    reader.close();
  }
});

test("a server without the bitmap, with another greeting, or that closes is refused", async (t) => {
  const hellos = [handshake(MIB), Buffer.from("HTTP/1.1 200 OK\r\n\r\n".padEnd(64))];
  for (const hello of hellos) {
    const open = await serve(t, hello, () => undefined);
    const opening = open("changes");
    await assert.rejects(opening, { reason: "BACKUP_READ_FAILED" });
  }
  const open = await serve(t, handshake(MIB), (_request, socket) => {
    socket.destroy();
    return undefined;
  });
  const reader = await open();
  await assert.rejects(all(reader.extents(0)), { reason: "BACKUP_READ_FAILED" });
});
