import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { LibvirtError } from "../../../../agent/libvirt/index.ts";
import { systemClock, type Clock } from "../../../../agent/kernel/clock.ts";
import { silentLog } from "../../../../agent/kernel/log.ts";
import { Libvirt } from "../../../../agent/libvirt/client/client.ts";
import * as p from "../../../../agent/libvirt/protocol/index.ts";
import type { LibvirtStream } from "../../../../agent/libvirt/rpc/stream.ts";
import { hyper, struct, uint } from "../../../../agent/libvirt/rpc/xdr.ts";
import { FakeClock } from "../../../support/host/fake-clock.ts";
import { eventually } from "../../../support/wait.ts";
import { encoded, errorBody, FakeDaemon, type Received } from "../../../support/libvirt/fake-daemon.ts";

const OK = 0;
const ERROR = 1;
const CONTINUE = 2;
const HOLE = 6;
const vol: p.StorageVol = { pool: "pool", name: "vol", key: "/pool/vol" };
const everything = { vol, offset: 0, length: 0, flags: 0 };

function reason(thrown: unknown): string {
  assert.ok(thrown instanceof LibvirtError, String(thrown));
  return `${thrown.kind} ${thrown.reason}`;
}

interface Open {
  readonly libvirt: Libvirt;
  readonly daemon: FakeDaemon;
  readonly stream: LibvirtStream;
  /** The call that opened the stream. */
  readonly call: Received;
}

/** A stream; `start` is the daemon's action right after its reply. */
async function open(
  t: TestContext,
  procedure: typeof p.storageVolDownload | typeof p.storageVolUpload,
  options: {
    timeoutMs?: number;
    stallTimeoutMs?: number;
    signal?: AbortSignal;
    clock?: Clock;
    start?: (call: Received) => void;
  } = {},
): Promise<Open> {
  const daemon = await FakeDaemon.start(t);
  const calls: Received[] = [];
  daemon.on(procedure, (call) => {
    if (call.type === 0) {
      calls.push(call);
      call.client.socket.cork();
      call.reply();
      options.start?.(call);
      call.client.socket.uncork();
    } else if (call.status === OK) call.stream(OK);
    else if (call.status === ERROR) call.stream(ERROR, errorBody(38, "stream aborted at client request"));
  });
  const { clock = systemClock, ...settings } = options;
  const libvirt = await Libvirt.connect({ uri: daemon.uri, log: silentLog, clock });
  t.after(() => libvirt.close());
  const stream = await libvirt.openStream(procedure, everything, settings);
  t.after(() => stream.abort());
  const [call] = calls;
  assert.ok(call);
  return { libvirt, daemon, stream, call };
}

async function text(stream: LibvirtStream): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

describe("reading a stream", () => {
  it("keeps libvirt's reply to the call that opened it", async (t) => {
    const daemon = await FakeDaemon.start(t);
    daemon.on(p.domainScreenshot, (call) => {
      if (call.type !== 0) call.stream(OK);
      else {
        call.reply(encoded(p.domainScreenshot.result, { mime: "image/png" }));
        call.stream(CONTINUE, Buffer.from("pixels"));
        call.stream(CONTINUE);
      }
    });
    const libvirt = await Libvirt.connect({ uri: daemon.uri, log: silentLog });
    t.after(() => libvirt.close());
    const dom = { name: "vm", uuid: "00112233-4455-6677-8899-aabbccddeeff", id: 1 };
    const stream = await libvirt.openStream(p.domainScreenshot, { dom, screen: 0, flags: 0 });
    assert.deepEqual(stream.reply, { mime: "image/png" });
    assert.equal(await text(stream), "pixels");
  });

  it("delivers all its bytes, those behind the reply too, and reports that it has finished", async (t) => {
    const { stream, call, daemon } = await open(t, p.storageVolDownload, {
      start: (opening) => {
        opening.stream(CONTINUE, Buffer.from("early, "));
        opening.stream(CONTINUE, Buffer.from("odd"));
      },
    });
    call.stream(CONTINUE, Buffer.from(", late"));
    call.stream(CONTINUE);
    assert.equal(await text(stream), "early, odd, late");
    const sent = call.client.received.filter(({ type }) => type === 3 || type === HOLE);
    assert.deepEqual(
      sent.map(({ status, serial, body }) => [status, serial, body.length]),
      [[OK, call.serial, 0]],
    );
    await eventually(() => daemon.open.length === 3, { what: "the stream's connection to close" });
  });

  it("fills holes with zeros", async (t) => {
    const hole = encoded(struct({ length: hyper, flags: uint }), { length: 600_000, flags: 0 });
    const { stream, call } = await open(t, p.storageVolDownload);
    call.stream(CONTINUE, Buffer.from("a"));
    call.stream(CONTINUE, hole, HOLE);
    call.stream(CONTINUE, Buffer.from("b"));
    call.stream(CONTINUE);
    const all = await text(stream);
    assert.equal(all.length, 600_002);
    assert.equal(all.replaceAll("\0", ""), "ab");
  });

  it("stops reading from the daemon while there is no consumer, and delays no other call", async (t) => {
    const { stream, call, daemon, libvirt } = await open(t, p.storageVolDownload);
    daemon.on(p.connectGetHostname, (call) =>
      call.reply(encoded(p.connectGetHostname.result, { hostname: "host" })),
    );
    const piece = Buffer.alloc(256 * 1024, 1);
    const total = 64;
    let sent = 0;
    const { socket } = call.client;
    const pour = (): void => {
      while (sent < total && !socket.writableNeedDrain) {
        call.stream(CONTINUE, piece);
        sent += 1;
      }
      if (sent === total) call.stream(CONTINUE);
      else socket.once("drain", pour);
    };
    pour();
    for (let calls = 0; calls < 200; calls += 1) await libvirt.call(p.connectGetHostname, {});
    assert.ok(
      sent < total / 2,
      `the daemon could send ${sent} of ${total} pieces to a reader that reads nothing`,
    );
    let bytes = 0;
    for await (const chunk of stream) bytes += chunk.length;
    assert.equal(bytes, total * piece.length);
  });

  it("whose other end is lost or taken over is broken, which is no error of the procedure", async (t) => {
    const { stream, call } = await open(t, p.storageVolDownload);
    call.stream(ERROR, errorBody(39, "stream had I/O failure"));
    await assert.rejects(stream[Symbol.asyncIterator]().next(), (error) => {
      return reason(error) === "unavailable LIBVIRT_STREAM_BROKEN";
    });
  });

  it("ends with the stream's own error, after the data before it", async (t) => {
    const { stream, call } = await open(t, p.storageVolDownload);
    call.stream(CONTINUE, Buffer.from("half"));
    call.stream(ERROR, errorBody(38, "cannot read: Input/output error", 5));
    const got: string[] = [];
    const reading = (async () => {
      for await (const chunk of stream) got.push(chunk.toString());
    })();
    assert.equal(await reading.catch(reason), "internal LIBVIRT_SYSTEM_ERROR");
    assert.deepEqual(got, ["half"]);
  });

  it("ends with the connection, and with the caller's signal", async (t) => {
    const lost = await open(t, p.storageVolDownload);
    lost.call.client.socket.destroy();
    assert.equal(await text(lost.stream).catch(reason), "unavailable LIBVIRT_DISCONNECTED");

    const stop = new AbortController();
    const { stream, call, daemon } = await open(t, p.storageVolDownload, { signal: stop.signal });
    const reading = text(stream).catch(reason);
    call.stream(CONTINUE, Buffer.from("x"));
    stop.abort();
    assert.equal(await reading, "cancelled CANCELLED");
    await eventually(() => daemon.open.length === 3, { what: "the stream's connection to close" });
    assert.ok(
      call.client.received.some(({ type, status }) => type === 3 && status === ERROR),
      "libvirt was notified",
    );
  });

  it("aborts the stream when the loop is left early, and waits for libvirt's reply", async (t) => {
    const { stream, call } = await open(t, p.storageVolDownload, {
      start: (opening) => opening.stream(CONTINUE, Buffer.from("x")),
    });
    for await (const chunk of stream) {
      assert.equal(chunk.toString(), "x");
      break;
    }
    assert.ok(call.client.received.some(({ type, status }) => type === 3 && status === ERROR));
    await assert.rejects(stream.write(Buffer.from("y")));
  });

  it("keeps its connection until libvirt has ended the stream, whichever side ends it, and however often", async (t) => {
    const stop = new AbortController();
    const clock = new FakeClock();
    const settings = { signal: stop.signal, clock };
    const { stream, daemon, libvirt } = await open(t, p.storageVolDownload, settings);
    const messages: Received[] = [];
    daemon.on(p.storageVolDownload, (message) => messages.push(message));
    const reading = text(stream).catch(reason);
    stop.abort();
    const aborted = stream.abort();
    await eventually(() => messages.length === 1);
    clock.advance(2000);
    await aborted;
    assert.equal(await reading, "cancelled CANCELLED");
    assert.equal(daemon.open.length, 4, "libvirt has not answered yet");
    assert.deepEqual(
      messages.map(({ status }) => status),
      [ERROR],
    );
    messages[0]?.stream(OK);
    await eventually(() => daemon.open.length === 3, { what: "the stream's connection to close" });
    await libvirt.close();
  });

  it("ends with timeout when libvirt sends no more data, unless it may be silent, and notifies libvirt", async (t) => {
    const start = (opening: Received): void => opening.stream(CONTINUE, Buffer.from("x"));
    const { stream, call, daemon } = await open(t, p.storageVolDownload, { stallTimeoutMs: 50, start });
    assert.equal(await text(stream).catch(reason), "timeout LIBVIRT_TIMEOUT");
    assert.ok(call.client.received.some(({ type, status }) => type === 3 && status === ERROR));
    await eventually(() => daemon.open.length === 3, { what: "the stream's connection to close" });

    const silent = await open(t, p.storageVolDownload, { stallTimeoutMs: Infinity });
    const reading = text(silent.stream);
    silent.call.stream(CONTINUE, Buffer.from("late"));
    silent.call.stream(CONTINUE);
    assert.equal(await reading, "late");
  });

  it("opened for a cancelled caller is aborted as well", async (t) => {
    const daemon = await FakeDaemon.start(t);
    const got: Received[] = [];
    daemon.on(p.storageVolDownload, (message) => got.push(message));
    const libvirt = await Libvirt.connect({ uri: daemon.uri, log: silentLog });
    t.after(() => libvirt.close());
    const stop = new AbortController();
    const opening = libvirt.openStream(p.storageVolDownload, everything, { signal: stop.signal });
    await eventually(() => got.length === 1);
    stop.abort();
    assert.equal(await opening.catch(reason), "cancelled CANCELLED");
    assert.equal(daemon.open.length, 4, "libvirt may be opening it");
    got[0]?.reply();
    await eventually(() => got.length === 2 && got[1]?.status === ERROR, {
      what: "the stream to be aborted",
    });
    got[1]?.stream(OK);
    await eventually(() => daemon.open.length === 3, { what: "the stream's connection to close" });
  });

  it("that cannot be opened fails with libvirt's error, and leaves nothing", async (t) => {
    const daemon = await FakeDaemon.start(t);
    daemon.on(p.storageVolDownload, (call) => call.fail(50, "no such volume"));
    const libvirt = await Libvirt.connect({ uri: daemon.uri, log: silentLog });
    t.after(() => libvirt.close());
    const opening = libvirt.openStream(p.storageVolDownload, everything);
    assert.equal(await opening.catch(reason), "not_found LIBVIRT_NO_STORAGE_VOL");
    await eventually(() => daemon.open.length === 3);
  });

  it("may be one of many concurrent ones", async (t) => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error): number => warnings.push(warning);
    process.on("warning", onWarning);
    t.after(() => process.off("warning", onWarning));
    const { libvirt, call } = await open(t, p.storageVolDownload);
    const opening = Array.from({ length: 20 }, () => libvirt.openStream(p.storageVolDownload, everything));
    const streams = await Promise.all(opening);
    call.stream(CONTINUE, Buffer.from("x"));
    await Promise.all(streams.map((stream) => stream.abort()));
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(warnings, []);
  });

  it("ends when the client is closed", async (t) => {
    const { stream, libvirt, call } = await open(t, p.storageVolDownload);
    const reading = text(stream).catch(reason);
    await libvirt.close();
    assert.equal(await reading, "unavailable LIBVIRT_CLOSED");
    assert.ok(
      call.client.received.some(({ type, status }) => type === 3 && status === ERROR),
      "libvirt was notified",
    );
  });
});

describe("writing a stream", () => {
  const received = (call: Received): Received[] =>
    call.client.received.filter(({ type }) => type === 3 || type === HOLE);

  it("sends all bytes in pieces a daemon accepts, then its end", async (t) => {
    const { stream, call } = await open(t, p.storageVolUpload);
    const data = Buffer.alloc(600_001, "abc");
    await stream.write(data);
    await stream.finish();
    const sent = received(call);
    assert.deepEqual(Buffer.concat(sent.map(({ body }) => body)), data);
    assert.ok(sent.every(({ body }) => body.length <= 262120));
    assert.deepEqual(
      sent.map(({ status }) => status),
      [CONTINUE, CONTINUE, CONTINUE, OK],
    );
    await assert.rejects(stream.write(data), (error) => reason(error) === "conflict LIBVIRT_STREAM_FINISHED");
  });

  it("skips a hole", async (t) => {
    const { stream, call } = await open(t, p.storageVolUpload);
    await stream.write(Buffer.from("a"));
    await stream.writeHole(600_000);
    await stream.finish();
    const hole = encoded(struct({ length: hyper, flags: uint }), { length: 600_000, flags: 0 });
    assert.deepEqual(
      received(call).map(({ type, status, body }) => [type, status, body.toString("hex")]),
      [
        [3, CONTINUE, "61"],
        [HOLE, CONTINUE, hole.toString("hex")],
        [3, OK, ""],
      ],
    );
  });

  it("waits while the daemon does not read", async (t) => {
    const { stream, call } = await open(t, p.storageVolUpload);
    call.client.socket.pause();
    let written = 0;
    const data = Buffer.alloc(1024 * 1024);
    const pouring = (async () => {
      for (; written < 32; written += 1) await stream.write(data);
    })();
    await new Promise((resolve) => setImmediate(resolve));
    await eventually(() => call.client.socket.isPaused() && written < 4);
    call.client.socket.resume();
    await pouring;
    await stream.finish();
    assert.equal(
      received(call).reduce((bytes, { body }) => bytes + body.length, 0),
      32 * data.length,
    );
  });

  it("fails with timeout when the daemon accepts no more data", async (t) => {
    const { stream, call } = await open(t, p.storageVolUpload, { stallTimeoutMs: 200 });
    call.client.socket.pause();
    const data = Buffer.alloc(1024 * 1024);
    const pouring = (async () => {
      for (;;) await stream.write(data);
    })();
    assert.equal(await pouring.catch(reason), "timeout LIBVIRT_TIMEOUT");
    call.client.socket.resume();
    await eventually(() => received(call).some(({ status }) => status === ERROR));
  });

  it("fails with the stream's error as soon as it is known, at the next write or at the end", async (t) => {
    const { stream, call } = await open(t, p.storageVolUpload);
    await stream.write(Buffer.from("x"));
    call.stream(ERROR, errorBody(38, "cannot write: No space left on device", 28));
    const writing = eventually(
      async () => {
        await stream.write(Buffer.from("y"));
        return false;
      },
      { giveUpOn: LibvirtError },
    );
    await assert.rejects(writing, /No space left/);
    assert.equal(await stream.finish().catch(reason), "exhausted LIBVIRT_NO_SPACE");
  });

  it("has an unknown outcome when the daemon does not report how it ended", async (t) => {
    const clock = new FakeClock();
    const silent = await open(t, p.storageVolUpload, { timeoutMs: 50, clock });
    const finishes: Received[] = [];
    silent.daemon.on(p.storageVolUpload, (call) => finishes.push(call));
    const finishing = silent.stream.finish().catch(reason);
    await eventually(() => finishes.length === 1);
    clock.advance(50);
    assert.equal(await finishing, "outcome_unknown LIBVIRT_OUTCOME_UNKNOWN");

    const dying = await open(t, p.storageVolUpload);
    dying.daemon.on(p.storageVolUpload, (call) => call.client.socket.destroy());
    assert.equal(await dying.stream.finish().catch(reason), "outcome_unknown LIBVIRT_OUTCOME_UNKNOWN");
  });
});
