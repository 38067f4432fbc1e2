import { remoteError } from "../../agent/libvirt/rpc/errors.ts";
import type { EventProcedure, Procedure } from "../../agent/libvirt/rpc/procedure.ts";
import { XdrReader, XdrWriter, type Codec } from "../../agent/libvirt/rpc/xdr.ts";

// Whole frames in both directions; the agent's own parser accepts only a daemon's frames.

export const REMOTE_PROGRAM = 0x20008086;
export const KEEPALIVE_PROGRAM = 0x6b656570;
/** virNetMessageType of libvirt's virnetprotocol.x. */
export const CALL = 0;
export const REPLY = 1;
const EVENT = 2;
const HEADER_BYTES = 28;
const OK = 0;
const ERROR = 1;

/** One message, with its length word. */
export class RawFrame {
  readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  get program(): number {
    return this.bytes.readUInt32BE(4);
  }

  get procedure(): number {
    return this.bytes.readInt32BE(12);
  }

  get type(): number {
    return this.bytes.readInt32BE(16);
  }

  get serial(): number {
    return this.bytes.readUInt32BE(20);
  }

  get isOk(): boolean {
    return this.bytes.readInt32BE(24) === OK;
  }

  get body(): Buffer {
    return this.bytes.subarray(HEADER_BYTES);
  }

  /** The same header with another body. */
  withBody(body: Buffer): RawFrame {
    const bytes = Buffer.concat([this.bytes.subarray(0, HEADER_BYTES), body]);
    bytes.writeUInt32BE(bytes.length, 0);
    return new RawFrame(bytes);
  }
}

/** Splits a byte stream into frames, independently of its chunks. */
export class FrameCutter {
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): RawFrame[] {
    let rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const frames: RawFrame[] = [];
    while (rest.length >= HEADER_BYTES && rest.length >= rest.readUInt32BE(0)) {
      const length = rest.readUInt32BE(0);
      frames.push(new RawFrame(Buffer.from(rest.subarray(0, length))));
      rest = rest.subarray(length);
    }
    this.#rest = Buffer.from(rest);
    return frames;
  }
}

/** libvirt's error reply: a virErrorNumber of virterror.h. */
export function refusal(call: RawFrame, code: number, message: string): RawFrame {
  const absent = { dom: null, str1: null, str2: null, str3: null, net: null };
  const error = { code, domain: 10, message, level: 2, int1: 0, int2: 0, ...absent };
  return frame(call.program, call.procedure, REPLY, call.serial, ERROR, encode(remoteError, error));
}

export function eventFrame<T>(event: EventProcedure<T>, body: T): RawFrame {
  return frame(REMOTE_PROGRAM, event.number, EVENT, 0, OK, encode(event.body, body));
}

/** The reply with each of its lists cut to `keep` entries; it stays well-formed. */
export function truncated(reply: RawFrame, { result }: Procedure<unknown, unknown>, keep: number): RawFrame {
  const whole = result.decode(new XdrReader(reply.body)) as Record<string, unknown>;
  const cut = Object.entries(whole).map(([name, value]) => [
    name,
    Array.isArray(value) ? value.slice(0, keep) : name === "ret" ? Math.min(Number(value), keep) : value,
  ]);
  return reply.withBody(encode(result, Object.fromEntries(cut)));
}

function frame(
  program: number,
  procedure: number,
  type: number,
  serial: number,
  status: number,
  body: Buffer,
): RawFrame {
  const head = Buffer.alloc(HEADER_BYTES);
  head.writeUInt32BE(HEADER_BYTES + body.length, 0);
  head.writeUInt32BE(program, 4);
  head.writeUInt32BE(1, 8);
  head.writeInt32BE(procedure, 12);
  head.writeInt32BE(type, 16);
  head.writeUInt32BE(serial, 20);
  head.writeInt32BE(status, 24);
  return new RawFrame(Buffer.concat([head, body]));
}

function encode<T>(codec: Codec<T>, value: T): Buffer {
  const writer = new XdrWriter();
  codec.encode(writer, value);
  return writer.take();
}
