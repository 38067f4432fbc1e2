// HTTP/2 frames by hand (RFC 9113), which no client library sends.
export const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

export const frames = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  window: 8,
  continuation: 9,
} as const;

export const flags = { endStream: 1, ack: 1, endHeaders: 4 } as const;

export function frame(type: number, flag: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flag, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** HPACK (RFC 7541) without its tables: each field literal, never indexed. */
export function headerBlock(fields: Readonly<Record<string, string>>): Buffer {
  const text = (value: string): Buffer => Buffer.concat([integer(value.length, 7), Buffer.from(value)]);
  return Buffer.concat(
    Object.entries(fields).flatMap(([name, value]) => [Buffer.from([0x10]), text(name), text(value)]),
  );
}

/** The fields of a gRPC call. */
export const callTo = (path: string): Readonly<Record<string, string>> => ({
  ":method": "POST",
  ":scheme": "https",
  ":path": path,
  ":authority": "agent",
  "content-type": "application/grpc",
  te: "trailers",
  "socle-control-epoch": "1",
});

/** A length in the low bits of a first byte whose other bits are 0. */
function integer(value: number, bits: number): Buffer {
  const most = 2 ** bits - 1;
  if (value < most) return Buffer.from([value]);
  const bytes = [most];
  for (let left = value - most; ; left = Math.floor(left / 128)) {
    if (left < 128) return Buffer.from([...bytes, left]);
    bytes.push((left % 128) + 128);
  }
}

/** A field that enters the table and is then referenced many times with one byte each. */
export function indexedBomb(size: number, times: number): Buffer {
  const value = Buffer.alloc(size, 0x61);
  const literal = Buffer.concat([Buffer.from([0x40, 1, 0x78]), integer(size, 7), value]);
  // 62 is the newest entry of the dynamic table.
  return Buffer.concat([literal, Buffer.alloc(times, 0x80 | 62)]);
}

/** A gRPC message frame, or the beginning of one that declares `length` bytes. */
export function message(bytes: Buffer, { length = bytes.length, compressed = false } = {}): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(compressed ? 1 : 0, 0);
  head.writeUInt32BE(length >>> 0, 1);
  return Buffer.concat([head, bytes]);
}
