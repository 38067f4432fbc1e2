import { SocleError } from "../errors.ts";

// The NBD protocol as a reader of one export needs it: fixed newstyle, structured replies, and the metadata contexts of
// blocks. The numbers are those of the protocol's document (NetworkBlockDevice/nbd, doc/proto.md). The server is the QEMU of a
// guest, which the guest may have taken over: every length has a bound, and every answer must fit its request.

/** Bytes that arrive in order. */
export interface ByteSource {
  /** The next `count` bytes, in `into` if it is given. Throws if they do not come. */
  take(count: number, into?: Buffer): Promise<Buffer>;
}

const GREETING = Buffer.from("NBDMAGICIHAVEOPT", "latin1");
const OPTION_MAGIC = Buffer.from("IHAVEOPT", "latin1");
const OPTION_REPLY_MAGIC = 0x3e889045565a9n;
const REQUEST_MAGIC = 0x25609513;
const CHUNK_MAGIC = 0x668e33ef;
/** Fixed newstyle, no zeros after the handshake. */
const HANDSHAKE_FLAGS = 0b11;

const option = { go: 7, structuredReply: 8, setMetaContext: 10 } as const;
const optionReply = { ack: 1, info: 3, metaContext: 4 } as const;
const OPTION_ERROR = 2 ** 31;
const info = { export: 0 } as const;
const command = { read: 0, disconnect: 2, blockStatus: 7 } as const;
const chunk = { none: 0, data: 1, hole: 2, blockStatus: 5 } as const;
const CHUNK_ERROR = 2 ** 15;
const CHUNK_DONE = 1;
/** Of base:allocation: the block reads as zeros. */
const ZERO = 0b10;
/** Of qemu:dirty-bitmap: the block has changed. */
const DIRTY = 0b1;

/** The most bytes of one read. */
export const MOST_READ_BYTES = 1024 * 1024;
/** The most bytes of one query of the blocks' state. */
export const MOST_STATUS_BYTES = 2 ** 30;
const MOST_OPTION_REPLY_BYTES = 16 * 1024;
const MOST_OPTION_REPLIES = 32;
/** QEMU answers with 1 MiB at most. */
const MOST_STATUS_REPLY_BYTES = 2 * 2 ** 20;
const MOST_ERROR_REPLY_BYTES = 8 * 1024;
/** libvirt's largest disk. */
const MOST_EXPORT_BYTES = 2 ** 53;

export interface Export {
  readonly sizeBytes: number;
  /** The id of base:allocation. */
  readonly allocation: number;
  /** The id of the bitmap's context, if one was asked for. */
  readonly changes: number | undefined;
}

/**
 * Agrees on an export and its contexts. `changes`: the name of a dirty bitmap. Throws `unavailable` BACKUP_READ_FAILED for
 * a server that has neither, or that does not keep to the protocol.
 */
export async function negotiate(
  source: ByteSource,
  send: (bytes: Buffer) => void,
  { name, changes }: { readonly name: string; readonly changes?: string | undefined },
): Promise<Export> {
  const greeting = await source.take(18);
  if (!greeting.subarray(0, 16).equals(GREETING)) throw broken("its greeting is not of NBD");
  if ((greeting.readUInt16BE(16) & HANDSHAKE_FLAGS) !== HANDSHAKE_FLAGS)
    throw broken("it does not offer the newstyle handshake");
  const flags = Buffer.alloc(4);
  flags.writeUInt32BE(HANDSHAKE_FLAGS);
  send(flags);
  send(optionOf(option.structuredReply, Buffer.alloc(0)));
  await optionReplies(source, option.structuredReply, () => undefined);
  const bitmap = changes === undefined ? undefined : `qemu:dirty-bitmap:${changes}`;
  const queries = ["base:allocation", ...(bitmap === undefined ? [] : [bitmap])];
  const contexts = new Map<string, number>();
  send(
    optionOf(
      option.setMetaContext,
      Buffer.concat([counted(name), uint32(queries.length), ...queries.map(counted)]),
    ),
  );
  await optionReplies(source, option.setMetaContext, (type, data) => {
    if (type !== optionReply.metaContext || data.length < 4) throw broken("its contexts cannot be read");
    const context = data.toString("latin1", 4);
    if (!queries.includes(context) || contexts.has(context))
      throw broken("it has contexts that were not asked for");
    contexts.set(context, data.readUInt32BE(0));
  });
  const allocation = contexts.get("base:allocation");
  const changesId = bitmap === undefined ? undefined : contexts.get(bitmap);
  if (allocation === undefined || (bitmap !== undefined && changesId === undefined))
    throw broken("it does not tell which blocks have data");
  if (allocation === changesId) throw broken("two of its contexts have one id");
  let sizeBytes: number | undefined;
  const noInfo = Buffer.alloc(2);
  send(optionOf(option.go, Buffer.concat([counted(name), noInfo])));
  await optionReplies(source, option.go, (type, data) => {
    if (type !== optionReply.info || data.length < 2) throw broken("its export cannot be read");
    if (data.readUInt16BE(0) !== info.export) return;
    if (data.length !== 12) throw broken("its export cannot be read");
    const size = data.readBigUInt64BE(2);
    if (size > BigInt(MOST_EXPORT_BYTES)) throw broken("its export is too large");
    sizeBytes = Number(size);
  });
  if (sizeBytes === undefined) throw broken("it does not tell the size of its export");
  return { sizeBytes, allocation, changes: changesId };
}

async function optionReplies(
  source: ByteSource,
  asked: number,
  each: (type: number, data: Buffer) => void,
): Promise<void> {
  for (let count = 0; count < MOST_OPTION_REPLIES; count += 1) {
    const head = await source.take(20);
    if (head.readBigUInt64BE(0) !== OPTION_REPLY_MAGIC || head.readUInt32BE(8) !== asked)
      throw broken("its reply is to no option that was sent");
    const [type, length] = [head.readUInt32BE(12), head.readUInt32BE(16)];
    if (length > MOST_OPTION_REPLY_BYTES) throw broken("its reply to an option is too long");
    const data = length === 0 ? Buffer.alloc(0) : await source.take(length);
    if (type >= OPTION_ERROR) throw broken(`it refuses the option ${asked} (${type - OPTION_ERROR})`);
    if (type === optionReply.ack) return;
    each(type, data);
  }
  throw broken("it has too many replies to an option");
}

const optionOf = (number: number, data: Buffer): Buffer =>
  Buffer.concat([OPTION_MAGIC, uint32(number), uint32(data.length), data]);

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

const counted = (text: string): Buffer => {
  const bytes = Buffer.from(text, "utf8");
  return Buffer.concat([uint32(bytes.length), bytes]);
};

/** A range of the export. */
export interface Range {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

function request(type: number, cookie: number, { offsetBytes, lengthBytes }: Range): Buffer {
  const bytes = Buffer.alloc(28);
  bytes.writeUInt32BE(REQUEST_MAGIC, 0);
  bytes.writeUInt16BE(type, 6);
  bytes.writeBigUInt64BE(BigInt(cookie), 8);
  bytes.writeBigUInt64BE(BigInt(offsetBytes), 16);
  bytes.writeUInt32BE(lengthBytes, 24);
  return bytes;
}

export const readRequest = (cookie: number, range: Range): Buffer => request(command.read, cookie, range);
export const statusRequest = (cookie: number, range: Range): Buffer =>
  request(command.blockStatus, cookie, range);
export const disconnectRequest = (): Buffer =>
  request(command.disconnect, 0, { offsetBytes: 0, lengthBytes: 0 });

/** A run of blocks in one state. */
export interface Run {
  readonly lengthBytes: number;
  readonly is: boolean;
}

/** The answer to a query: the runs from its offset on, each list for at least one block and at most what was asked. */
export interface BlockRuns {
  /** Blocks that read as zeros. */
  readonly zero: readonly Run[];
  /** Blocks that have changed; undefined without a bitmap. */
  readonly changed: readonly Run[] | undefined;
}

/** The bytes of a read; undefined: all are zeros. */
export type Bytes = Buffer | undefined;

/** Collects the chunks of the answer to one request. */
export interface Answer {
  /** Reads a chunk's payload and keeps it. */
  take(type: number, length: number, source: ByteSource): Promise<void>;
  /** After the last chunk. */
  end(): void;
  /** The answer will not come, or the server refuses the request. */
  fail(error: SocleError): void;
}

/** The next chunk, given to the answer that waits for it. Throws for a stream that cannot be followed any more. */
export async function readChunk(source: ByteSource, answers: Map<number, Answer>): Promise<void> {
  const head = await source.take(20);
  if (head.readUInt32BE(0) !== CHUNK_MAGIC) throw broken("its answer cannot be read");
  const [flags, type, length] = [head.readUInt16BE(4), head.readUInt16BE(6), head.readUInt32BE(16)];
  const cookie = Number(head.readBigUInt64BE(8));
  const answer = answers.get(cookie);
  if (answer === undefined) throw broken("its answer is to no request that was sent");
  const isDone = (flags & CHUNK_DONE) !== 0;
  if (type >= CHUNK_ERROR) {
    if (length < 6 || length > MOST_ERROR_REPLY_BYTES) throw broken("its error cannot be read");
    const data = await source.take(length);
    answers.delete(cookie);
    answer.fail(broken(`it refuses a read (error ${data.readUInt32BE(0)})`));
    if (!isDone) throw broken("an error is not the end of its answer");
    return;
  }
  if (type === chunk.none) {
    if (length !== 0 || !isDone) throw broken("its answer cannot be read");
  } else await answer.take(type, length, source);
  if (!isDone) return;
  // First: an answer that is refused here fails with all others.
  answer.end();
  answers.delete(cookie);
}

/** QEMU splits an answer at blocks of at least so many bytes. */
const LEAST_CHUNK_BYTES = 512;

/** The bytes of a range, from chunks that cover all of it once; in `into`, which has its length. */
export function bytesAnswer(
  { offsetBytes, lengthBytes }: Range,
  into: Buffer,
  resolve: (bytes: Bytes) => void,
  reject: (error: SocleError) => void,
): Answer {
  /** Ranges that have come, without overlap. */
  const covered: { from: number; to: number; isHole: boolean }[] = [];
  const cover = (from: number, length: number, isHole: boolean): void => {
    const to = from + length;
    const isInside = from >= offsetBytes && to <= offsetBytes + lengthBytes && length > 0;
    if (
      !isInside ||
      covered.length * LEAST_CHUNK_BYTES >= lengthBytes ||
      covered.some((other) => from < other.to && other.from < to)
    )
      throw broken("its answer is of other bytes");
    covered.push({ from, to, isHole });
  };
  return {
    async take(type, length, source) {
      if (type === chunk.hole) {
        if (length !== 12) throw broken("its answer cannot be read");
        const data = await source.take(12);
        cover(Number(data.readBigUInt64BE(0)), data.readUInt32BE(8), true);
        return;
      }
      if (type !== chunk.data || length <= 8 || length > lengthBytes + 8)
        throw broken("its answer is not what was asked for");
      const from = Number((await source.take(8)).readBigUInt64BE(0));
      cover(from, length - 8, false);
      await source.take(length - 8, into.subarray(from - offsetBytes, from - offsetBytes + length - 8));
    },
    end() {
      const sum = covered.reduce((all, { from, to }) => all + to - from, 0);
      if (sum !== lengthBytes) throw broken("its answer lacks bytes");
      const holes = covered.filter(({ isHole }) => isHole);
      if (holes.length === covered.length) resolve(undefined);
      else {
        for (const { from, to } of holes) into.fill(0, from - offsetBytes, to - offsetBytes);
        resolve(into);
      }
    },
    fail: reject,
  };
}

/** The state of the blocks of a range. */
export function runsAnswer(
  { lengthBytes }: Range,
  { allocation, changes }: Export,
  resolve: (runs: BlockRuns) => void,
  reject: (error: SocleError) => void,
): Answer {
  const found = new Map<number, Run[]>();
  return {
    async take(type, length, source) {
      const isWhole = length >= 12 && (length - 4) % 8 === 0 && length <= MOST_STATUS_REPLY_BYTES;
      if (type !== chunk.blockStatus || !isWhole) throw broken("its answer is not what was asked for");
      const data = await source.take(length);
      const context = data.readUInt32BE(0);
      if ((context !== allocation && context !== changes) || found.has(context))
        throw broken("its answer is of another context");
      const bit = context === changes ? DIRTY : ZERO;
      const runs: Run[] = [];
      let sum = 0;
      for (let at = 4; at < length && sum < lengthBytes; at += 8) {
        const run = data.readUInt32BE(at);
        if (run === 0) throw broken("its answer has an empty run");
        const is = (data.readUInt32BE(at + 4) & bit) !== 0;
        // The last run may go beyond what was asked for.
        const within = Math.min(run, lengthBytes - sum);
        sum += within;
        const last = runs.at(-1);
        if (last?.is === is) runs[runs.length - 1] = { is, lengthBytes: last.lengthBytes + within };
        else runs.push({ is, lengthBytes: within });
      }
      found.set(context, runs);
    },
    end() {
      const zero = found.get(allocation);
      const changed = changes === undefined ? undefined : found.get(changes);
      if (zero === undefined || (changes !== undefined && changed === undefined))
        throw broken("its answer lacks a context");
      resolve({ zero, changed });
    },
    fail: reject,
  };
}

export const broken = (why: string, cause?: unknown): SocleError =>
  new SocleError(
    "unavailable",
    "BACKUP_READ_FAILED",
    `the VM's QEMU does not serve the disk: ${why}; read on from the last offset, and if it persists begin another backup`,
    { cause, details: { retryAfterMs: 1000 } },
  );
