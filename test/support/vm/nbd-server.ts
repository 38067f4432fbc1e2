import { createServer, type Server, type Socket } from "node:net";

// The server's side of NBD, as far as a test of its reader needs it. Numbers: NetworkBlockDevice/nbd, doc/proto.md.

const OPTION_REPLY_MAGIC = 0x3e889045565a9n;
const CHUNK_MAGIC = 0x668e33ef;

const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);
const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
const u64 = (value: number | bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
};

const optionReply = (option: number, type: number, data = Buffer.alloc(0)): Buffer =>
  Buffer.concat([u64(OPTION_REPLY_MAGIC), u32(option), u32(type), u32(data.length), data]);

/** All that a server sends before the first read. */
export const handshake = (sizeBytes: number, changes?: string): Buffer =>
  Buffer.concat([
    Buffer.from("NBDMAGICIHAVEOPT", "latin1"),
    u16(3),
    optionReply(8, 1),
    optionReply(10, 4, Buffer.concat([u32(1), Buffer.from("base:allocation")])),
    ...(changes === undefined
      ? []
      : [optionReply(10, 4, Buffer.concat([u32(2), Buffer.from(`qemu:dirty-bitmap:${changes}`)]))]),
    optionReply(10, 1),
    optionReply(7, 3, Buffer.concat([u16(0), u64(sizeBytes), u16(0)])),
    optionReply(7, 1),
  ]);

export const chunkOf = (
  { type, cookie, done = false }: { type: number; cookie: number; done?: boolean },
  data: Buffer,
): Buffer =>
  Buffer.concat([u32(CHUNK_MAGIC), u16(done ? 1 : 0), u16(type), u64(cookie), u32(data.length), data]);

export interface Request {
  readonly type: number;
  readonly cookie: number;
  readonly offset: number;
  readonly length: number;
}

/** Serves one export on a socket; `answer` gives the bytes of each answer. */
export function nbdServer(
  hello: Buffer,
  answer: (request: Request, socket: Socket) => Buffer | undefined,
): Server {
  return createServer((socket) => {
    socket.on("error", () => undefined);
    socket.write(hello);
    let pending = Buffer.alloc(0);
    socket.on("data", (bytes: Buffer) => {
      pending = Buffer.concat([pending, bytes]);
      for (;;) {
        const at = pending.indexOf(u32(0x25609513));
        if (at < 0 || pending.length < at + 28) return;
        const request = pending.subarray(at, at + 28);
        pending = pending.subarray(at + 28);
        const reply = answer(
          {
            type: request.readUInt16BE(6),
            cookie: Number(request.readBigUInt64BE(8)),
            offset: Number(request.readBigUInt64BE(16)),
            length: request.readUInt32BE(24),
          },
          socket,
        );
        if (reply !== undefined) socket.write(reply);
      }
    });
  });
}

/** The runs of one context, as (length, flags). */
export const statusOf = (
  cookie: number,
  context: number,
  runs: readonly (readonly [number, number])[],
  done = false,
) =>
  chunkOf(
    { type: 5, cookie, done },
    Buffer.concat([u32(context), ...runs.flatMap(([length, flags]) => [u32(length), u32(flags)])]),
  );

export const dataOf = (cookie: number, offset: number, bytes: Buffer, done = true): Buffer =>
  chunkOf({ type: 1, cookie, done }, Buffer.concat([u64(offset), bytes]));
