import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type AddressInfo } from "node:net";
import { text as textOf } from "node:stream/consumers";
import test, { type TestContext } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { gunzipSync } from "node:zlib";
import { request, type IncomingMessage } from "node:http";
import { systemClock, type Clock } from "../../../agent/kernel/clock.ts";
import { SocleError } from "../../../agent/kernel/errors.ts";
import { silentLog } from "../../../agent/kernel/log.ts";
import { allCollectors } from "../../../agent/metrics/collectors/index.ts";
import { collector, type Collector } from "../../../agent/metrics/collector.ts";
import { gauge } from "../../../agent/metrics/family.ts";
import { Exposition } from "../../../agent/metrics/render.ts";
import { metricsServer, whyNotReady, type NotReady } from "../../../agent/metrics/server.ts";
import { FakeClock } from "../../support/host/fake-clock.ts";
import { eventually } from "../../support/wait.ts";
import { fixedSources } from "../../support/metrics/fixed-sources.ts";

interface Started {
  readonly port: number;
  readonly get: (
    path: string,
    headers?: Record<string, string>,
    method?: string,
    from?: string,
  ) => Promise<Answer>;
}
interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

async function start(
  context: TestContext,
  options: {
    readiness?: () => readonly NotReady[];
    collectors?: readonly Collector[];
    clock?: Clock;
  } = {},
): Promise<Started> {
  const stop = new AbortController();
  let onListening: (port: number) => void = () => undefined;
  const listening = new Promise<number>((resolve) => {
    onListening = resolve;
  });
  const running = metricsServer({
    listen: "127.0.0.1:0",
    exposition: new Exposition({
      collectors: options.collectors ?? allCollectors(),
      disabled: [],
      sources: fixedSources(),
      clock: options.clock ?? systemClock,
      log: silentLog,
    }),
    readiness: options.readiness ?? (() => []),
    log: silentLog,
    onListening: ({ port }) => onListening(port),
  }).run(stop.signal, () => undefined);
  context.after(async () => {
    stop.abort();
    await running;
  });
  const port = await listening;
  return {
    port,
    async get(path, headers = {}, method = "GET", localAddress = "127.0.0.1") {
      const requested = request({ port, path, headers, method, localAddress, agent: false }).end();
      const [response] = (await once(requested, "response")) as [IncomingMessage];
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk as Buffer);
      return { status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) };
    },
  };
}

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

function heldBytes(): number {
  collectGarbage();
  return process.memoryUsage().arrayBuffers;
}

test("/metrics is served as text, as OpenMetrics and compressed", async (context) => {
  const { get } = await start(context);
  const plain = await get("/metrics");
  assert.equal(plain.status, 200);
  assert.equal(plain.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
  assert.equal(plain.headers["content-length"], String(plain.body.length));
  assert.match(plain.body.toString(), /^socle_agent_info\{version="1.2.3"/m);

  const open = await get("/metrics", { accept: "application/openmetrics-text;version=1.0.0" });
  assert.equal(open.headers["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
  assert.match(
    open.body.toString(),
    /# TYPE socle_vm_cpu_seconds counter\n# UNIT socle_vm_cpu_seconds seconds\n/,
  );
  assert.ok(open.body.toString().endsWith("\n# EOF\n"));

  const packed = await get("/metrics?collect[]=vm_cpu", { "accept-encoding": "gzip" });
  assert.equal(packed.headers["content-encoding"], "gzip");
  const unpacked = gunzipSync(packed.body).toString();
  assert.match(unpacked, /^socle_vm_cpu_seconds_total\{vm="[^"]+"\} 13.5$/m);
  assert.doesNotMatch(unpacked, /socle_agent_info/);
});

test("a large exposition arrives complete, compressed or not; a scraper that disconnects is no error", async (context) => {
  const series = 30_000;
  const large = collector("large", { large: gauge("large", "Many.", ["n"]) }, (_, emit) => {
    for (let index = 0; index < series; index += 1) emit.large(index, `${"x".repeat(80)}${index}`);
    return undefined;
  })();
  const { get, port } = await start(context, { collectors: [large] });
  const plain = (await get("/metrics")).body.toString();
  const packed = gunzipSync((await get("/metrics", { "accept-encoding": "gzip" })).body).toString();
  for (const body of [plain, packed])
    assert.equal(body.split("\n").filter((line) => line.startsWith("large{")).length, series);

  const leaver = connect(port, "127.0.0.1");
  leaver.write("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  await once(leaver, "data");
  leaver.destroy();
  assert.equal((await get("/metrics?exclude[]=large")).status, 200);
});

test("a scraper that does not read holds no copy of the exposition, and is closed at its deadline", async (context) => {
  const large = collector("large", { large: gauge("large", "Many.", ["n"]) }, (_, emit) => {
    for (let index = 0; index < 100_000; index += 1) emit.large(index, `${"x".repeat(80)}${index}`);
    return undefined;
  })();
  const { port, get } = await start(context, { collectors: [large] });
  const startMs = performance.now();
  const bytes = (await get("/metrics")).body.length;
  // All of them are answered before the first one's deadline.
  const seconds = Math.max(3, Math.ceil((16 * (performance.now() - startMs)) / 1000));
  const heldBefore = heldBytes();
  const idlers = Array.from({ length: 8 }, () => {
    const idler = connect(port, "127.0.0.1");
    const timeout = `X-Prometheus-Scrape-Timeout-Seconds: ${seconds}`;
    idler.write(`GET /metrics HTTP/1.1\r\nHost: x\r\n${timeout}\r\n\r\n`);
    return idler.on("error", () => undefined);
  });
  context.after(() => idlers.forEach((idler) => idler.destroy()));
  await Promise.all(idlers.map((idler) => once(idler, "readable")));
  await new Promise((resolve) => setImmediate(resolve));
  const held = heldBytes() - heldBefore;
  assert.ok(held < 3 * bytes, `${held} bytes are held for 8 scrapers of ${bytes} bytes`);
  // They have all places of their address.
  await eventually(async () => (await get("/metrics?exclude[]=large")).status === 200, {
    what: "them to be closed",
    timeoutMs: 90_000,
    intervalMs: 100,
  });
});

test("HEAD returns GET's headers, without a body", async (context) => {
  const { get } = await start(context);
  const head = await get("/metrics?collect[]=vm_info", {}, "HEAD");
  assert.equal(head.status, 200);
  assert.equal(head.body.length, 0);
  assert.ok(Number(head.headers["content-length"]) > 100);
});

test("health and readiness are separate", async (context) => {
  let reasons: NotReady[] = [
    { reason: "LIBVIRT_CONNECTING", message: "libvirt does not answer yet" },
    { reason: "REPLAYING", message: "operations are looked into" },
  ];
  const { get } = await start(context, { readiness: () => reasons });
  assert.equal((await get("/healthz")).status, 200);
  const starting = await get("/readyz");
  assert.equal(starting.status, 503);
  const lines = starting.body.toString().trimEnd().split("\n");
  assert.deepEqual(
    lines.map((line) => (JSON.parse(line) as NotReady).reason),
    ["LIBVIRT_CONNECTING", "REPLAYING"],
  );
  reasons = [];
  assert.equal((await get("/readyz")).status, 200);
});

test("an agent is ready once it serves and knows its VMs, and not after that has ended", () => {
  const reasons = (serving: boolean, listed: boolean): string[] =>
    whyNotReady({ serving, listed, refusal: undefined }).map(({ reason }) => reason);
  assert.deepEqual(reasons(true, true), []);
  assert.deepEqual(reasons(true, false), ["VMS_NOT_LISTED"]);
  const refusal = new SocleError("conflict", "HYPERVISOR_IN_USE", "the agent of /var/lib/other controls it");
  assert.deepEqual(whyNotReady({ serving: true, listed: true, refusal }), [
    { reason: "HYPERVISOR_IN_USE", message: "every change is refused: socle health shows why" },
  ]);
  assert.deepEqual(reasons(false, false), ["NOT_READY"]);
  const unreported = whyNotReady({ serving: true, listed: true, refusal: undefined, reportFailed: true });
  assert.deepEqual(
    unreported.map(({ reason }) => reason),
    ["REPORT_FAILED"],
  );
});

test("a missing path and a changing method are refused with a message", async (context) => {
  const { get } = await start(context);
  const missing = await get("/nonesuch");
  assert.equal(missing.status, 404);
  assert.match(missing.body.toString(), /\/metrics, \/healthz and \/readyz/);
  const posted = await get("/metrics", {}, "POST");
  assert.equal(posted.status, 405);
  assert.equal(posted.headers.allow, "GET, HEAD");
  const unknown = await get("/metrics?collect[]=nonesuch");
  assert.equal(unknown.status, 400);
  // Its name comes from the visitor's link: no browser may interpret it as markup.
  assert.equal(unknown.headers["x-content-type-options"], "nosniff");
  assert.match(unknown.body.toString(), /no collector is named nonesuch; there are: agent, /);
});

test("garbage and huge headers are refused, and the server goes on", async (context) => {
  const { port, get } = await start(context);
  const garbage = connect(port, "127.0.0.1");
  garbage.end("\u0000\u0001 nonsense\r\n\r\n");
  assert.match(await textOf(garbage), /400 Bad Request/);
  assert.equal((await get("/metrics", { "x-long": "x".repeat(10_000) })).status, 431);
  assert.equal((await get("http://[/metrics")).status, 404);
  assert.equal((await get("/healthz")).status, 200);
});

test("the scraper's timeout is kept, with the collectors that were ready by then", async (context) => {
  const stuck: Collector = {
    name: "stuck",
    families: [],
    *collect() {
      yield new Promise(() => undefined);
      return { texts: [], readAtMs: undefined };
    },
  };
  const quick = collector("quick", { value: gauge("quick", "Quick.") }, (_, emit) => {
    emit.value(1);
  });
  const clock = new FakeClock();
  const { get } = await start(context, { collectors: [quick(), stuck], clock });
  const scrape = get("/metrics", { "x-prometheus-scrape-timeout-seconds": "60" });
  await eventually(() => clock.sleepingMs.length > 0, { what: "the scrape to wait for the collectors" });
  clock.advance(59_999);
  const answer = await scrape;
  assert.match(answer.body.toString(), /^quick 1$/m);
  assert.match(answer.body.toString(), /^socle_collector_success\{collector="stuck"\} 0$/m);
});

test("scrapes beyond the limit get a time to retry", async (context) => {
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const slow: Collector = {
    name: "slow",
    families: [],
    *collect() {
      yield released;
      return { texts: [], readAtMs: undefined };
    },
  };
  const { get } = await start(context, { collectors: [slow] });
  const scrapes: Promise<unknown>[] = [];
  /** This many scrapes at once, until as many as are beyond the limit are answered. */
  const refusedOf = async (from: string, count: number, tooMany: number): Promise<void> => {
    const answers: Answer[] = [];
    await new Promise<void>((resolve) => {
      for (let at = 0; at < count; at += 1)
        scrapes.push(
          get("/metrics", {}, "GET", from).then((answer) => {
            answers.push(answer);
            if (answers.length === tooMany) resolve();
          }),
        );
    });
    for (const { status, headers } of answers) assert.deepEqual([status, headers["retry-after"]], [503, "1"]);
  };
  await refusedOf("127.0.0.2", 12, 4);
  await refusedOf("127.0.0.3", 12, 4);
  await refusedOf("127.0.0.1", 1, 1);
  release();
  await Promise.all(scrapes);
  assert.equal((await get("/metrics")).status, 200);
});

test("connections without a request, or with an endless one, do not keep others out", async (context) => {
  const { port, get } = await start(context);
  let closed = 0;
  const sockets = Array.from({ length: 300 }, (_, at) => {
    const socket = connect({ port, host: "127.0.0.1", localAddress: `127.0.0.${2 + (at % 5)}` });
    socket.on("error", () => undefined).resume();
    socket.once("close", () => (closed += 1));
    if (at % 2 === 0) socket.write("GET /metrics HTTP/1.1\r\nX-Slow: ");
    return socket;
  });
  context.after(() => sockets.forEach((socket) => socket.destroy()));
  await Promise.all(sockets.map((socket) => Promise.race([once(socket, "connect"), once(socket, "close")])));
  assert.equal((await get("/metrics")).status, 200);
  await eventually(() => closed >= 150, { what: "the oldest to be closed", timeoutMs: 60_000 });
});

test("a client that disconnects during a scrape leaves nothing behind", async (context) => {
  const { port, get } = await start(context);
  for (let round = 0; round < 20; round += 1) {
    const socket = connect(port, "127.0.0.1");
    socket.write("GET /metrics HTTP/1.1\r\nHost: agent\r\n\r\n");
    await once(socket, "connect");
    socket.resetAndDestroy();
  }
  assert.equal((await get("/metrics")).status, 200);
});

test("pipelined requests on a broken connection leave nothing behind; otherwise they are answered in order", async (context) => {
  let release: () => void = () => undefined;
  let released = Promise.resolve();
  const slow: Collector = {
    name: "slow",
    families: [],
    *collect() {
      yield released;
      return { texts: [], readAtMs: undefined };
    },
  };
  const { port, get } = await start(context, { collectors: [slow] });
  const ask = "GET /metrics HTTP/1.1\r\nHost: agent\r\n\r\n";
  for (let round = 0; round < 8; round += 1) {
    released = new Promise<void>((resolve) => (release = resolve));
    const localAddress = `127.0.0.${2 + (round % 4)}`;
    const socket = connect({ port, host: "127.0.0.1", localAddress }).on("error", () => undefined);
    socket.write(ask.repeat(20));
    await once(socket, "connect");
    await get("/healthz");
    socket.resetAndDestroy();
    release();
    await get("/healthz");
  }
  assert.equal((await get("/metrics")).status, 200);

  const socket = connect(port, "127.0.0.1");
  socket.write(ask + ask.replace("Host", "Connection: close\r\nHost"));
  assert.equal((await textOf(socket)).match(/^HTTP\/1.1 200 OK/gm)?.length, 2);
});

test("a taken port fails the start with a remedy", async (context) => {
  const other = createServer().listen(0, "127.0.0.1");
  context.after(() => other.close());
  await once(other, "listening");
  const { port } = other.address() as AddressInfo;
  const options = {
    exposition: new Exposition({
      collectors: [],
      disabled: [],
      sources: fixedSources(),
      clock: systemClock,
      log: silentLog,
    }),
    readiness: () => [],
    log: silentLog,
  };
  const run = (listen: string): Promise<void> =>
    metricsServer({ ...options, listen }).run(new AbortController().signal, () => undefined);
  await assert.rejects(run(`127.0.0.1:${port}`), {
    kind: "unavailable",
    reason: "METRICS_ADDRESS",
    message: /another program has this port.*metrics\.listen/,
  });
  await assert.rejects(run("192.0.2.1:9177"), { message: /this host has no such address/ });
});
