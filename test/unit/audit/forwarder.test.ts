import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import { Forwarder, journalSink, syslogSink, type AuditLog, type Entry } from "../../../agent/audit/index.ts";
import type { Sink } from "../../../agent/audit/forwarder.ts";
import { digestOf, genesis, linked } from "../../../agent/audit/chain.ts";
import { silentLog } from "../../../agent/kernel/log.ts";
import { eventually } from "../../support/wait.ts";
import { Authority } from "../../scheduler/authority.ts";
import { FakeClock } from "../../support/host/fake-clock.ts";
import { folder } from "../../support/state/folder.ts";
import { auditLog, started } from "../../support/audit/log-of.ts";

/** Receives on a unix socket, as long as the test allows it. */
class Collector {
  readonly path: string;
  text = "";
  readonly sockets = new Set<Socket>();
  reads = true;
  readonly #server: Server;

  static async listen(t: TestContext, path: string): Promise<Collector> {
    const collector = new Collector(path);
    await once(collector.#server.listen(path), "listening");
    t.after(() => collector.close());
    return collector;
  }

  private constructor(path: string) {
    this.path = path;
    this.#server = createServer((socket) => {
      this.sockets.add(socket);
      socket.on("error", () => undefined);
      socket.once("close", () => this.sockets.delete(socket));
      if (this.reads) this.read(socket);
    });
  }

  read(socket: Socket): void {
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => (this.text += text));
  }

  cut(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  close(): void {
    this.#server.close();
    this.cut();
  }

  /** The entries that the journal received, without the header. */
  get received(): { readonly hash: string; readonly entry: Entry }[] {
    const lines = this.text.split("\n").filter((line) => /^<\d>\{.*\}$/.test(line));
    return lines.map((line) => JSON.parse(line.slice(3)) as { hash: string; entry: Entry });
  }

  get sequences(): number[] {
    return this.received.map(({ entry }) => entry.sequence);
  }
}

const upTo = (last: number): number[] => Array.from({ length: last }, (_, index) => index + 1);

/** Runs a forwarder until the test or the returned function ends it. */
function forward(t: TestContext, audit: AuditLog, sink: Sink, clock = new FakeClock()) {
  const forwarder = new Forwarder({ audit, sink, clock, log: silentLog });
  const end = new AbortController();
  const done = forwarder.run(end.signal, () => undefined);
  const stop = async (): Promise<void> => {
    end.abort();
    await done;
  };
  t.after(stop);
  return { forwarder, clock, stop };
}

test("systemd's journal receives every entry in order, with the fields of the chain", async (t) => {
  const directory = await folder(t);
  const { log } = await auditLog(directory, { segmentBytes: 3000 });
  t.after(() => log.close());
  for (let i = 0; i < 10; i += 1) await log.record(started(`before-${i}`));
  const collector = await Collector.listen(t, join(directory, "journal"));
  const { forwarder } = forward(t, log, journalSink(collector.path));
  await eventually(() => collector.sequences.at(-1) === log.state.sequence);
  await log.record({ ...started("after"), act: "call_refused", outcome: "denied" });
  await eventually(() => collector.sequences.at(-1) === log.state.sequence);
  assert.deepEqual(collector.sequences, upTo(log.state.sequence));
  assert.ok(collector.text.startsWith("socle-audit\n\n5\n1\n0\n0\n0\n<5>{"));
  assert.match(collector.text, /\n<4>\{[^\n]*"call_refused"/, "a refusal stands out");
  let hash = genesis;
  for (const line of collector.text.split("\n").slice(7, -1)) {
    const { hash: sentHash } = JSON.parse(line.slice(3)) as { hash: string };
    hash = linked(hash, digestOf(line.slice(line.indexOf('"entry":') + 8, -1)));
    assert.equal(sentHash, hash);
  }
  await eventually(() => forwarder.state?.lagEntries === 0);
  assert.equal(forwarder.state?.connected, true);
});

test("a sink that accepts nothing delays no entry, is reported as behind, and receives all in the end", async (t) => {
  const directory = await folder(t);
  const { log } = await auditLog(directory);
  t.after(() => log.close());
  const collector = await Collector.listen(t, join(directory, "journal"));
  collector.reads = false;
  const { forwarder, clock } = forward(t, log, journalSink(collector.path));
  await eventually(() => collector.sockets.size === 1);
  for (let i = 0; i < 40; i += 1)
    await Promise.all(Array.from({ length: 100 }, (_, n) => log.record(started(`vm-${i}-${n}`))));
  assert.ok((forwarder.state?.lagEntries ?? 0) > 0);
  clock.advance(20_000);
  assert.equal(forwarder.state?.lagSeconds, 20);
  for (const socket of collector.sockets) collector.read(socket);
  await eventually(() => collector.sequences.at(-1) === log.state.sequence);
  assert.deepEqual(collector.sequences, upTo(log.state.sequence));
  await eventually(() => forwarder.state?.lagEntries === 0);
  assert.equal(forwarder.state.lagSeconds, 0);
});

test("after an interruption or a restart it continues after the last acknowledged entry: none is missing", async (t) => {
  const directory = await folder(t);
  const { log } = await auditLog(directory);
  t.after(() => log.close());
  const collector = await Collector.listen(t, join(directory, "journal"));
  const first = forward(t, log, journalSink(collector.path));
  for (let i = 0; i < 5; i += 1) await log.record(started(`a-${i}`));
  await eventually(() => collector.sequences.length === 5);
  collector.cut();
  await log.record(started("b"));
  await eventually(() => {
    // Not while it is connected: its deadlines would pass as well.
    if (first.forwarder.state?.connected === false) first.clock.advance(1000);
    return collector.sequences.at(-1) === 6;
  });
  assert.deepEqual(new Set(collector.sequences), new Set(upTo(6)));
  await eventually(() => first.forwarder.state?.lagEntries === 0);
  await first.stop();
  collector.text = "";
  await log.record(started("c"));
  forward(t, log, journalSink(collector.path));
  await eventually(() => collector.sequences.length > 0);
  assert.deepEqual(collector.sequences, [7], "acknowledged entries are not sent again after a clean stop");
});

test("a machine without a journal has no lag", async (t) => {
  const directory = await folder(t);
  const { log } = await auditLog(directory);
  t.after(() => log.close());
  await log.record(started("a"));
  const { forwarder } = forward(t, log, journalSink(join(directory, "none")));
  await eventually(() => forwarder.state === undefined);
});

/** A syslog collector with TLS and a certificate for this name. */
async function syslog(t: TestContext, name: string, isRevoked = false) {
  const authority = await Authority.make("cloud.example");
  const { certificatePem, keyPem, serial } = await authority.issue("collector/c", {
    names: [{ type: "dns", value: name }],
  });
  const collected = { text: "", handshakes: 0 };
  const server = createTlsServer({ cert: certificatePem, key: keyPem }, (socket) => {
    collected.handshakes += 1;
    socket.setEncoding("latin1");
    socket.on("error", () => undefined);
    socket.on("data", (text: string) => (collected.text += text));
  });
  server.on("tlsClientError", () => undefined);
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => server.close());
  const { port } = server.address() as { port: number };
  const ca = authority.certificatePem;
  return {
    collected,
    sink: syslogSink(
      { host: "localhost", port },
      "host-a",
      () => Promise.resolve({ ca }),
      (shown) => isRevoked && shown.toLowerCase() === serial.toLowerCase(),
    ),
  };
}

/** RFC 5425, 4.3: the message's octets, a space, the message. */
function messagesIn(text: string): string[] {
  const messages: string[] = [];
  for (let at = 0; at < text.length;) {
    const space = text.indexOf(" ", at);
    const length = Number(text.slice(at, space));
    assert.ok(length > 0, text.slice(at, at + 40));
    if (space + 1 + length > text.length) break;
    messages.push(text.slice(space + 1, space + 1 + length));
    at = space + 1 + length;
  }
  return messages;
}

test("a syslog collector receives every entry over TLS, in RFC 5424's form and RFC 5425's frames", async (t) => {
  const directory = await folder(t);
  const { log } = await auditLog(directory);
  t.after(() => log.close());
  const { collected, sink } = await syslog(t, "localhost");
  forward(t, log, sink);
  await log.record({ ...started("näme"), act: "call_refused", outcome: "denied" });
  await log.record(started("b"));
  await eventually(() => messagesIn(collected.text).length === 2);
  const [first = "", second = ""] = messagesIn(collected.text);
  assert.match(
    first,
    /^<108>1 2025-\d\d-\d\dT[\d:.]+Z host-a socle-agent \d+ call_refused - \{"hash":"[0-9a-f]{64}","entry":\{.*\}\}$/,
  );
  assert.match(second, /^<109>1 .* call_admitted - /);
  assert.equal((JSON.parse(first.slice(first.indexOf("{"))) as { entry: Entry }).entry.vm, "näme");
});

test("a collector that cannot prove its name receives nothing", async (t) => {
  const directory = await folder(t);
  const { log } = await auditLog(directory);
  t.after(() => log.close());
  await log.record(started("a"));
  const { collected, sink } = await syslog(t, "elsewhere.example");
  const errors: string[] = [];
  const watched: Sink = {
    ...sink,
    connect: (signal) =>
      sink.connect(signal).catch((thrown: unknown) => {
        errors.push((thrown as Error).message);
        throw thrown;
      }),
  };
  const { forwarder } = forward(t, log, watched);
  await eventually(() => errors.length > 0);
  assert.match(errors[0] ?? "", /does not match certificate's altnames/);
  assert.equal(collected.text, "");
  assert.equal(forwarder.state?.connected, false);
  assert.equal(forwarder.state.lagEntries, 1);
});

test("a collector whose certificate is revoked receives nothing", async (t) => {
  const directory = await folder(t);
  const { log } = await auditLog(directory);
  t.after(() => log.close());
  await log.record(started("a"));
  const { collected, sink } = await syslog(t, "localhost", true);
  const errors: string[] = [];
  const watched: Sink = {
    ...sink,
    connect: (signal) =>
      sink.connect(signal).catch((thrown: unknown) => {
        errors.push((thrown as Error).message);
        throw thrown;
      }),
  };
  const { forwarder } = forward(t, log, watched);
  await eventually(() => errors.length > 0);
  assert.match(errors[0] ?? "", /is revoked/);
  assert.equal(collected.text, "");
  assert.equal(forwarder.state?.connected, false);
  assert.equal(forwarder.state.lagEntries, 1);
});
