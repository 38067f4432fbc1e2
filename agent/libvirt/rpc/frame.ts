import type { Codec } from "./xdr.ts";
import { MESSAGE_MAX_BYTES, XdrReader, type XdrWriter } from "./xdr-buffer.ts";

/** virNetMessageType of libvirt's virnetprotocol.x. CALL_WITH_FDS (4) is never sent: Node cannot pass descriptors. */
export const FrameType = {
  CALL: 0,
  REPLY: 1,
  MESSAGE: 2,
  STREAM: 3,
  REPLY_WITH_FDS: 5,
  STREAM_HOLE: 6,
} as const;
/** virNetMessageStatus. */
export const FrameStatus = { OK: 0, ERROR: 1, CONTINUE: 2 } as const;

export const REMOTE_PROGRAM = 0x20008086;
export const QEMU_PROGRAM = 0x20008087;
export const KEEPALIVE_PROGRAM = 0x6b656570;
const VERSION = 1;
const HEADER_BYTES = 28;
/** VIR_NET_MESSAGE_NUM_FDS_MAX. */
const DESCRIPTORS_MAX = 32;
const FRAME_MAX_BYTES = MESSAGE_MAX_BYTES + 4;

export interface FrameHeader {
  readonly program: number;
  readonly procedure: number;
  readonly type: number;
  readonly serial: number;
  readonly status: number;
}

/** `body` may be read only while the frame is being handled: its bytes are overwritten afterwards. */
export interface Frame extends FrameHeader {
  readonly body: XdrReader;
}

/** Takes a part of a stream's data, as it lies in the chunk, and the number of bytes that follow in its frame. */
export type DataReceiver = (part: Buffer, leftBytes: number) => void;

/** A header no libvirt daemon would send. Nothing behind it can be trusted: the connection has to end. */
export class FrameError extends Error {}

/** The body, all of it. Throws XdrError when it is not what the codec reads. */
export function decodeWhole<T>(codec: Codec<T>, frame: Frame): T {
  const value = codec.decode(frame.body);
  frame.body.finish();
  return value;
}

/** Starts a frame and returns where; `endFrame` completes it once the body is written. */
export function beginFrame(writer: XdrWriter, header: FrameHeader): number {
  const start = writer.length;
  writer.uint(0);
  writer.uint(header.program);
  writer.uint(VERSION);
  writer.int(header.procedure);
  writer.int(header.type);
  writer.uint(header.serial);
  writer.int(header.status);
  return start;
}

/** `extraBytes` of the body follow by another way than the writer. */
export function endFrame(writer: XdrWriter, start: number, extraBytes = 0): void {
  writer.patchUint(start, writer.length - start + extraBytes);
}

/**
 * Cuts a byte stream into frames, wherever the chunks happen to end. A frame that lies whole in its chunk is read in
 * place; only one that is cut is gathered in a buffer of its own, after its length was checked. With `onData`, the data
 * of streams is passed there in parts, as it lies in the chunks, and gathered nowhere.
 */
export class FrameParser {
  readonly #onFrame: (frame: Frame) => void;
  readonly #onData: DataReceiver | undefined;
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerFilled = 0;
  #body: Buffer | undefined;
  #bodyFilled = 0;
  /** Bytes of a stream's data that are still to come in this frame. */
  #dataLeft = 0;
  /** Bytes to pass over: each descriptor comes with one, behind its frame. The kernel closes the descriptor itself. */
  #skipLeft = 0;

  constructor(onFrame: (frame: Frame) => void, onData?: DataReceiver) {
    this.#onFrame = onFrame;
    this.#onData = onData;
  }

  /** Throws FrameError at a bad header. */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#skipLeft > 0) {
        const skipped = Math.min(this.#skipLeft, chunk.length - at);
        this.#skipLeft -= skipped;
        at += skipped;
      } else if (this.#dataLeft > 0) {
        at = this.#passData(chunk, at);
      } else if (this.#body !== undefined) {
        at = this.#fillBody(this.#body, chunk, at);
      } else if (this.#headerFilled === 0 && chunk.length - at >= HEADER_BYTES) {
        at = this.#startBody(chunk, at, chunk, at + HEADER_BYTES);
      } else {
        const taken = Math.min(HEADER_BYTES - this.#headerFilled, chunk.length - at);
        chunk.copy(this.#header, this.#headerFilled, at, at + taken);
        this.#headerFilled += taken;
        at += taken;
        if (this.#headerFilled === HEADER_BYTES) at = this.#startBody(this.#header, 0, chunk, at);
      }
    }
  }

  /** The header is complete at `headerAt` of `header`; the body begins at `at` of `chunk`. */
  #startBody(header: Buffer, headerAt: number, chunk: Buffer, at: number): number {
    const bodyBytes = checkHeader(header, headerAt) - HEADER_BYTES;
    if (this.#onData !== undefined && isData(header, headerAt)) {
      this.#dataLeft = bodyBytes;
      if (bodyBytes > 0) {
        this.#headerFilled = 0;
        return at;
      }
    }
    if (chunk.length - at >= bodyBytes) {
      this.#headerFilled = 0;
      this.#handOver(frameOf(header, headerAt, new XdrReader(chunk, at, at + bodyBytes)));
      return at + bodyBytes;
    }
    if (header !== this.#header) header.copy(this.#header, 0, headerAt, headerAt + HEADER_BYTES);
    this.#headerFilled = HEADER_BYTES;
    this.#body = Buffer.allocUnsafeSlow(bodyBytes);
    this.#bodyFilled = 0;
    return this.#fillBody(this.#body, chunk, at);
  }

  #handOver(frame: Frame): void {
    this.#skipLeft = descriptorsOf(frame);
    this.#onFrame(frame);
  }

  #passData(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#dataLeft);
    this.#dataLeft -= end - at;
    this.#onData?.(chunk.subarray(at, end), this.#dataLeft);
    return end;
  }

  #fillBody(body: Buffer, chunk: Buffer, at: number): number {
    const taken = Math.min(body.length - this.#bodyFilled, chunk.length - at);
    chunk.copy(body, this.#bodyFilled, at, at + taken);
    this.#bodyFilled += taken;
    if (this.#bodyFilled === body.length) {
      this.#body = undefined;
      this.#headerFilled = 0;
      this.#handOver(frameOf(this.#header, 0, new XdrReader(body)));
    }
    return at + taken;
  }
}

/** The number of descriptors that come with a frame; it stands before the body. */
function descriptorsOf(frame: Frame): number {
  if (frame.type !== FrameType.REPLY_WITH_FDS) return 0;
  const count = frame.body.remaining < 4 ? Infinity : frame.body.uint();
  if (count > DESCRIPTORS_MAX) throw new FrameError(`a frame with ${count} descriptors`);
  return count;
}

function isData(header: Buffer, at: number): boolean {
  return (
    header.readInt32BE(at + 16) === FrameType.STREAM && header.readInt32BE(at + 24) === FrameStatus.CONTINUE
  );
}

function frameOf(header: Buffer, at: number, body: XdrReader): Frame {
  return {
    program: header.readUInt32BE(at + 4),
    procedure: header.readInt32BE(at + 12),
    type: header.readInt32BE(at + 16),
    serial: header.readUInt32BE(at + 20),
    status: header.readInt32BE(at + 24),
    body,
  };
}

/** The frame's length in bytes, its length word included. */
function checkHeader(header: Buffer, at: number): number {
  const length = header.readUInt32BE(at);
  const program = header.readUInt32BE(at + 4);
  const version = header.readUInt32BE(at + 8);
  const type = header.readInt32BE(at + 16);
  const status = header.readInt32BE(at + 24);
  if (length < HEADER_BYTES || length > FRAME_MAX_BYTES) throw new FrameError(`a frame of ${length} bytes`);
  if (program !== REMOTE_PROGRAM && program !== QEMU_PROGRAM && program !== KEEPALIVE_PROGRAM) {
    throw new FrameError(`a frame of program 0x${program.toString(16)}`);
  }
  if (version !== VERSION) throw new FrameError(`a frame of protocol version ${version}`);
  if (
    type !== FrameType.REPLY &&
    type !== FrameType.MESSAGE &&
    type !== FrameType.STREAM &&
    type !== FrameType.REPLY_WITH_FDS &&
    type !== FrameType.STREAM_HOLE
  ) {
    throw new FrameError(`a frame of type ${type}`);
  }
  if (status < FrameStatus.OK || status > FrameStatus.CONTINUE) {
    throw new FrameError(`a frame of status ${status}`);
  }
  return length;
}
