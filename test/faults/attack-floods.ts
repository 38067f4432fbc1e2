import { connect as connectPlain, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import { gzipSync } from "node:zlib";
import { status } from "@grpc/grpc-js";
import type { Issued } from "../scheduler/authority.ts";
import { secureOptions } from "./attack-calls.ts";
import { unread } from "./attack-answers.ts";
import { connected } from "./attack-connection.ts";
import { callTo, flags, frame, frames, headerBlock, indexedBomb, message, preface } from "./attack-frames.ts";
import { holds, LASTS_MS } from "./attack-half-open.ts";
import type { Stage } from "./attack-stage.ts";
import type { Outcome, Theme, Try } from "./attack-runner.ts";

const MIB = 2 ** 20;
const GET_HOST = "/socle.v1.HostService/GetHost";
/** Another address of this machine than other clients use. */
const ATTACKER = "127.0.0.2";

/** Requests beyond the limits: too large, too many, too slow, endless. Other callers are answered meanwhile. */
export async function tooMuch(stage: Stage, scale: number): Promise<Theme> {
  const { authority, host } = stage;
  const insider = await authority.issue("viewer/insider");
  const mover = await authority.issue("scheduler/mover");
  const own = secureOptions(authority.certificatePem, insider);
  const count = (full: number): number => Math.max(10, Math.round(full * scale));
  const lastsMs = Math.max(1000, LASTS_MS * scale);
  const tries: Try[] = unread(stage, insider);
  const add = (what: string, attack: () => Promise<Outcome>): void => void tries.push({ what, attack });

  for (const bytes of [MIB + 1, 5 * MIB, 64 * MIB])
    add(`a message of ${bytes} bytes`, () => isRefused(stage, mover, Buffer.alloc(bytes)));
  add("a message that declares 4 GiB", () =>
    talks(stage, insider, [call(GET_HOST), data(message(Buffer.alloc(16), { length: 2 ** 32 - 1 }), false)]),
  );
  add("a compressed message that grows a thousandfold", () =>
    talks(stage, insider, [
      call(GET_HOST, { "grpc-encoding": "gzip" }),
      ...chunks(message(gzipSync(Buffer.alloc(256 * MIB)), { compressed: true })),
    ]),
  );
  add("a call with 10,000 fields", () =>
    talks(stage, insider, [
      headersInPieces(
        headerBlock({
          ...callTo(GET_HOST),
          ...Object.fromEntries(Array.from({ length: 10_000 }, (_, at) => [`x-${at}`, "y"])),
        }),
      ),
    ]),
  );
  add("a field of 1 MiB", () =>
    talks(stage, insider, [headersInPieces(headerBlock({ ...callTo(GET_HOST), "x-long": "y".repeat(MIB) }))]),
  );
  add("a field that is named 100,000 times by one byte", () =>
    talks(stage, insider, [
      headersInPieces(Buffer.concat([headerBlock(callTo(GET_HOST)), indexedBomb(4000, 100_000)])),
    ]),
  );
  add("headers without an end", () =>
    floods(stage, insider, count(20_000), (at) =>
      at === 0
        ? frame(frames.headers, 0, 1, headerBlock(callTo(GET_HOST)))
        : frame(frames.continuation, 0, 1, headerBlock({ [`x-${at}`]: "y".repeat(50) })),
    ),
  );
  add("continuations that are empty, without an end", () =>
    floods(stage, insider, count(100_000), (at) =>
      at === 0
        ? frame(frames.headers, 0, 1, headerBlock(callTo(GET_HOST)))
        : frame(frames.continuation, 0, 1),
    ),
  );
  add("100,000 calls begun and reset at once", () =>
    floods(stage, insider, count(100_000), (at) => {
      const stream = 1 + 2 * at;
      return Buffer.concat([
        frame(frames.headers, flags.endHeaders, stream, headerBlock(callTo(GET_HOST))),
        frame(frames.reset, 0, stream, Buffer.from([0, 0, 0, 8])),
      ]);
    }),
  );
  add("100,000 calls on one connection at once", () =>
    floods(stage, insider, count(100_000), (at) =>
      frame(
        frames.headers,
        flags.endHeaders,
        1 + 2 * at,
        headerBlock(callTo("/socle.v1.VmService/WatchVms")),
      ),
    ),
  );
  for (const [what, one] of [
    ["pings", frame(frames.ping, 0, 0, Buffer.alloc(8))],
    ["settings", frame(frames.settings, 0, 0)],
    [
      "settings that change a size again and again",
      frame(frames.settings, 0, 0, Buffer.from([0, 1, 0, 0, 0x10, 0])),
    ],
    ["data that is empty", frame(frames.data, 0, 1)],
    ["priorities", frame(frames.priority, 0, 1, Buffer.from([0, 0, 0, 3, 255]))],
    ["windows that overflow", frame(frames.window, 0, 0, Buffer.from([0x7f, 0xff, 0xff, 0xff]))],
    ["resets of nothing", frame(frames.reset, 0, 1, Buffer.alloc(4))],
    ["frames of no kind", frame(0xee, 0, 0, Buffer.alloc(100))],
  ] as const)
    add(`100,000 ${what}`, () => floods(stage, insider, count(100_000), () => one));
  add("frames larger than agreed", () =>
    talks(stage, insider, [frame(frames.data, 0, 1, Buffer.alloc(2 ** 20))]),
  );
  add("what is no HTTP/2", () => talks(stage, insider, [Buffer.alloc(MIB, 0x20)], false));
  add("replies that the caller does not read", () =>
    floods(
      stage,
      insider,
      count(20_000),
      (at) => {
        const stream = 1 + 2 * at;
        return Buffer.concat([
          frame(frames.headers, flags.endHeaders, stream, headerBlock(callTo(GET_HOST))),
          frame(frames.data, flags.endStream, stream, message(Buffer.alloc(0))),
        ]);
      },
      false,
    ),
  );

  const silent = (
    what: string,
    full: number,
    open: () => Socket,
    drip: (socket: Socket, at: number) => void,
  ): void => add(what, () => holds(stage, { count: count(full), lastsMs, open, drip }));
  const toPort = (port: number) => (): Socket =>
    connectPlain({ host: "127.0.0.1", port, localAddress: ATTACKER });
  const metricsPort = Number(host.agent.metricsAddress.split(":")[1]);
  const inTls =
    (options: ConnectionOptions = own) =>
    (): Socket =>
      connectTls({
        ...options,
        host: "127.0.0.1",
        port: stage.port,
        ALPNProtocols: ["h2"],
        checkServerIdentity: () => undefined,
      });
  const hello = clientHello();
  const nothing = (): void => undefined;
  silent("10,000 silent connections", 10_000, toPort(stage.port), nothing);
  silent(
    "1,000 handshakes, a byte at a time",
    1000,
    toPort(stage.port),
    (socket, at) => void socket.write(hello.subarray(at, at + 1)),
  );
  silent("10,000 silent connections to the metrics", 10_000, toPort(metricsPort), nothing);
  silent(
    "1,000 requests for metrics, a byte at a time",
    1000,
    toPort(metricsPort),
    (socket, at) =>
      void socket.write("GET /metrics HTTP/1.1\r\nX-Slow: yyyyyyyyyyyyyyyyyyyyyyyy".slice(at, at + 1) || "y"),
  );
  silent(
    "1,000 requests for metrics whose body does not end",
    1000,
    toPort(metricsPort),
    (socket, at) =>
      void socket.write(
        at === 0 ? "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" : "x",
      ),
  );
  silent("1,000 requests for metrics without reading the reply", 1000, toPort(metricsPort), (socket) => {
    socket.pause().write("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
  });
  silent("1,000 silent connections of a legitimate caller", 1000, inTls(), nothing);
  silent(
    "1,000 connections of a proper caller, a byte of the preface at a time",
    1000,
    inTls(),
    (socket, at) => void socket.write(preface.subarray(at, at + 1)),
  );
  silent(
    "200 calls of a proper caller whose headers do not end",
    200,
    inTls(),
    (socket, at) =>
      void socket.write(
        at === 0
          ? Buffer.concat([hello2(), frame(frames.headers, 0, 1, headerBlock(callTo(GET_HOST)))])
          : Buffer.alloc(0),
      ),
  );
  silent(
    "200 messages of a proper caller, a byte at a time",
    200,
    inTls(),
    (socket, at) =>
      void socket.write(
        at === 0
          ? Buffer.concat([hello2(), call(GET_HOST), data(message(Buffer.alloc(0), { length: MIB }), false)])
          : data(Buffer.from([0]), false),
      ),
  );
  silent("1,000 silent connections to the socket", 1000, () => connectPlain(host.agent.socketPath), nothing);
  return { name: "tooMuch", tries };
}

const call = (path: string, more: Readonly<Record<string, string>> = {}): Buffer =>
  frame(frames.headers, flags.endHeaders, 1, headerBlock({ ...callTo(path), ...more }));

const data = (bytes: Buffer, isEnd: boolean): Buffer =>
  frame(frames.data, isEnd ? flags.endStream : 0, 1, bytes);

const hello2 = (): Buffer => Buffer.concat([preface, frame(frames.settings, 0, 0)]);

/** Chunks that each fit HTTP/2's default frame size. */
function pieces(bytes: Buffer): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / 16_384) }, (_, at) =>
    bytes.subarray(at * 16_384, (at + 1) * 16_384),
  );
}

const chunks = (bytes: Buffer): Buffer[] =>
  pieces(bytes).map((piece, at, all) => data(piece, at === all.length - 1));

function headersInPieces(block: Buffer): Buffer {
  const all = pieces(block);
  return Buffer.concat(
    all.map((piece, at) =>
      frame(
        at === 0 ? frames.headers : frames.continuation,
        at === all.length - 1 ? flags.endHeaders : 0,
        1,
        piece,
      ),
    ),
  );
}

async function isRefused(stage: Stage, by: Issued, bytes: Buffer): Promise<Outcome> {
  const caller = stage.callerOf(by);
  try {
    const { code } = await caller.call("/socle.v1.VmService/CreateVm", bytes, { timeoutMs: 60_000 });
    return code === status.RESOURCE_EXHAUSTED ? "refused" : { letThrough: `answered ${status[code]}` };
  } finally {
    caller.close();
  }
}

/** Sends bytes; the agent must end the call or the connection, or ignore them, and never send a reply message. */
async function talks(stage: Stage, by: Issued, sent: readonly Buffer[], isHttp2 = true): Promise<Outcome> {
  const socket = await connected(stage, by);
  const received: Buffer[] = [];
  socket.on("data", (bytes: Buffer) => received.push(bytes));
  const over = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  if (isHttp2) socket.write(hello2());
  for (const bytes of sent) {
    if (socket.destroyed) break;
    if (!socket.write(bytes))
      await Promise.race([new Promise((resolve) => socket.once("drain", resolve)), over, pause(10_000)]);
  }
  await Promise.race([over, pause(1000)]);
  socket.destroy();
  // A reply message would hold the host's name.
  const text = Buffer.concat(received).toString("latin1");
  return text.includes("agentVersion") ? { letThrough: "it was answered" } : "refused";
}

/** As many frames as the peer accepts, as fast as it accepts them. */
async function floods(
  stage: Stage,
  by: Issued,
  most: number,
  make: (at: number) => Buffer,
  reads = true,
): Promise<Outcome> {
  const socket = await connected(stage, by);
  if (reads) socket.resume();
  const over = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.write(hello2());
  let sent = 0;
  const endMs = performance.now() + LASTS_MS;
  while (sent < most && !socket.closed && performance.now() < endMs) {
    const some = Math.min(200, most - sent);
    const bytes = Buffer.concat(Array.from({ length: some }, (_, at) => make(sent + at)));
    sent += some;
    if (!socket.write(bytes))
      await Promise.race([new Promise((resolve) => socket.once("drain", resolve)), over, pause(2000)]);
  }
  await Promise.race([over, pause(500)]);
  const isEnded = socket.closed;
  socket.destroy();
  return isEnded ? "refused" : "inert";
}

/** The first bytes of a handshake's first record, and nothing more. */
const clientHello = (): Buffer =>
  Buffer.concat([Buffer.from("16030102000100" + "01fc0303", "hex"), Buffer.alloc(600, 1)]);
