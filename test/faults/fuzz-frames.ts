import { createServer } from "node:net";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../agent/kernel/clock.ts";
import { LibvirtError } from "../../agent/libvirt/index.ts";
import { Connection } from "../../agent/libvirt/rpc/connection.ts";
import { libvirtError, remoteError } from "../../agent/libvirt/rpc/errors.ts";
import { readEvent } from "../../agent/libvirt/client/event-sources.ts";
import {
  decodeWhole,
  FrameError,
  FrameParser,
  FrameStatus,
  FrameType,
  type Frame,
} from "../../agent/libvirt/rpc/frame.ts";
import type { Procedure } from "../../agent/libvirt/rpc/procedure.ts";
import * as protocol from "../../agent/libvirt/protocol/index.ts";
import { XdrError, XdrWriter, type Codec } from "../../agent/libvirt/rpc/xdr.ts";
import { fixture } from "../support/libvirt/xml/oracles.ts";
import { Chance } from "./fuzz-chance.ts";
import type { CleanUp, FuzzTarget } from "./fuzz-target.ts";

const PROGRAM = 0x20008086;
const MOST_PIECES = 4;

const isProcedure = (value: unknown): value is Procedure<unknown, unknown> =>
  typeof value === "object" && value !== null && "number" in value && "result" in value;
const declared: readonly unknown[] = Object.values(protocol);
const procedures = declared.filter(isProcedure);
const byNumber = new Map(procedures.map((each) => [each.number, each]));

function body<T>(codec: Codec<T>, value: T): Buffer {
  const writer = new XdrWriter();
  codec.encode(writer, value);
  return writer.take();
}

function frame(procedure: number, type: number, status: number, content: Uint8Array, serial = 1): Buffer {
  const words = [28 + content.length, PROGRAM, 1, procedure, type, serial, status];
  const head = Buffer.alloc(28);
  words.forEach((word, at) => head.writeUInt32BE(word >>> 0, at * 4));
  return Buffer.concat([head, content]);
}

const dom = { name: "guest", uuid: "3f0c9b52-7a54-4c1d-8f3e-0c3a9d3a1b01", id: 3 };
const noObject = { dom: null, str1: "one", str2: null, str3: null, net: null };
const statistic = { field: "state.state", value: { type: "int" as const, value: 1 } };
const replies: readonly Buffer[] = [
  frame(
    protocol.domainGetXmlDesc.number,
    1,
    0,
    body(protocol.domainGetXmlDesc.result, { xml: fixture("domain-running") }),
  ),
  frame(
    protocol.connectListAllDomains.number,
    1,
    0,
    body(protocol.connectListAllDomains.result, { domains: [dom, { ...dom, id: -1 }], ret: 2 }),
  ),
  frame(protocol.domainGetState.number, 1, 0, body(protocol.domainGetState.result, { state: 1, reason: 1 })),
  frame(protocol.authList.number, 1, 0, body(protocol.authList.result, { types: [0] })),
  frame(
    protocol.domainEvents.lifecycle.event.number,
    2,
    0,
    body(protocol.domainEvents.lifecycle.event.body, { callbackId: 1, dom, event: 5, detail: 0 }),
  ),
  frame(
    protocol.connectGetAllDomainStats.number,
    1,
    0,
    body(protocol.connectGetAllDomainStats.result, { retStats: [{ dom, params: [statistic, statistic] }] }),
  ),
  frame(
    protocol.domainGetState.number,
    1,
    1,
    body(remoteError, {
      code: 42,
      domain: 10,
      message: "no domain",
      level: 2,
      int1: 0,
      int2: 0,
      ...noObject,
    }),
  ),
];

/** XDR with values for any layout: small numbers, lengths, strings, pointers. */
function plausible(chance: Chance): Buffer {
  return Buffer.concat(
    Array.from({ length: chance.below(24) }, () => {
      const word = Buffer.alloc(4);
      if (chance.is(60)) {
        word.writeUInt32BE(chance.is(85) ? chance.below(4) : chance.number() >>> 0 || 0);
        return word;
      }
      const text = chance.bytes(chance.below(20));
      word.writeUInt32BE(text.length);
      return Buffer.concat([word, text, Buffer.alloc(-text.length & 3)]);
    }),
  );
}

function input(chance: Chance): Buffer {
  const kind = chance.below(10);
  if (kind < 4) return chance.mutated(chance.of(replies));
  if (kind < 5) return chance.bytes(chance.below(400));
  const number = chance.is(70) ? chance.of(procedures).number : chance.below(500);
  const type = chance.is(70)
    ? FrameType.REPLY
    : chance.of([FrameType.MESSAGE, FrameType.STREAM, FrameType.STREAM_HOLE]);
  return frame(number, type, chance.is(75) ? 0 : chance.below(3), plausible(chance));
}

/** The client's handling of a frame, without its connection. */
function read(received: Frame): void {
  const { type, status } = received;
  const procedure = byNumber.get(received.procedure);
  try {
    if (type === FrameType.MESSAGE) readEvent(received);
    else if (status === FrameStatus.ERROR) libvirtError(decodeWhole(remoteError, received), "A_PROCEDURE");
    else if (procedure !== undefined) decodeWhole(procedure.result, received);
  } catch (thrown) {
    if (!(thrown instanceof XdrError)) throw thrown;
  }
}

export const frames: FuzzTarget = {
  name: "frames",
  share: 560,
  make: (chance) => Buffer.concat(Array.from({ length: 1 + chance.below(2) }, () => input(chance))),
  feed: (bytes) => {
    const parser = new FrameParser(read);
    // The chunk sizes follow from the input, so that a repeated input is read the same way.
    const chance = new Chance(bytes.length, bytes.at(-1) ?? 0);
    try {
      for (let at = 0; at < bytes.length;) {
        const length = chance.is(50) ? bytes.length : 1 + chance.below(bytes.length / MOST_PIECES + 1);
        parser.push(bytes.subarray(at, at + length));
        at += length;
      }
    } catch (thrown) {
      if (!(thrown instanceof FrameError)) throw thrown;
    }
  },
};

/** A whole connection whose daemon replies with the input: the call ends with a result or a SocleError. */
export async function connections(cleanUp: CleanUp): Promise<FuzzTarget> {
  const directory = await mkdtemp(join(tmpdir(), "socle-fuzz-"));
  cleanUp(() => rm(directory, { recursive: true, force: true }));
  const socketPath = join(directory, "daemon.sock");
  let answer: Uint8Array = Buffer.alloc(0);
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => socket.end(answer));
  });
  server.listen(socketPath);
  cleanUp(() => server.close());
  const none = new AbortController().signal;
  const ignore = (): void => undefined;
  const options = {
    socketPath,
    clock: systemClock,
    maxInFlight: 4,
    maxQueued: 8,
    onEvent: ignore,
    onStream: ignore,
    onStreamData: ignore,
  };
  return {
    name: "connection",
    share: 15,
    make: (chance) => {
      const bytes = input(chance);
      if (chance.is(70) && bytes.length >= 24) bytes.writeUInt32BE(1, 20);
      return bytes;
    },
    feed: async (bytes) => {
      answer = bytes;
      const asked = byNumber.get(bytes.length < 16 ? 0 : bytes.readInt32BE(12)) ?? protocol.authList;
      const connection = await Connection.open(options, none);
      try {
        await connection.call({ ...asked, args: protocol.authList.args }, {}, { timeoutMs: 60_000 });
      } catch (thrown) {
        if (!(thrown instanceof LibvirtError)) throw thrown;
      } finally {
        connection.close(new LibvirtError("cancelled", "FUZZED", "the input is over"));
      }
    },
  };
}
