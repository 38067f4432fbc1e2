import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createServer, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import { setImmediate as turn } from "node:timers/promises";
import { request, type Response, type Route } from "../../../../agent/vm/images/http-request.ts";
import { Authority } from "../../../scheduler/authority.ts";
import { listening, proxyTo } from "../../../support/listening.ts";

const MIB = 1024 * 1024;
const signal = new AbortController().signal;

/** A server that calls `answer` once it has read the head of a request. */
const serve = (t: TestContext, answer: (socket: Socket) => void): Promise<number> =>
  listening(
    t,
    createServer((socket) => void socket.once("data", () => answer(socket))),
  );

const get = (port: number, until = signal): Promise<Response> =>
  request(new URL(`http://127.0.0.1:${port}/x`), {
    route: { address: "127.0.0.1" },
    headers: {},
    signal: until,
  });

async function read({ body }: Response): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of body) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

const headOf = (lengthBytes: number): string => `HTTP/1.1 200 OK\r\ncontent-length: ${lengthBytes}\r\n\r\n`;

test("the body follows its head, whatever the packets are", async (t) => {
  const bytes = randomBytes(1000);
  const whole = Buffer.concat([Buffer.from(headOf(bytes.length)), bytes]);
  const together = await serve(t, (socket) => socket.end(whole));
  assert.deepEqual(await read(await get(together)), bytes);
  const single = await serve(t, (socket) => {
    socket.setNoDelay(true);
    void (async () => {
      for (const byte of whole) {
        await new Promise((done) => socket.write(Buffer.of(byte), done));
        await turn();
      }
    })();
  });
  assert.deepEqual(await read(await get(single)), bytes);
});

test("interim responses come before the response", async (t) => {
  const bytes = Buffer.from("HTTP/1.1 100 is what an image may begin with\r\n\r\n");
  const hints = "HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n";
  const port = await serve(t, (socket) => {
    socket.write(`${hints}${headOf(bytes.length)}`);
    socket.end(bytes);
  });
  const response = await get(port);
  assert.equal(response.statusCode, 200);
  assert.deepEqual(await read(response), bytes);
});

test("empty lines before a head are passed over, as Node's own client does, and those of a body are its own", async (t) => {
  const empty = "\r\n\r\n\n";
  const head = `${empty}HTTP/1.1 103 Early Hints\r\n\r\n${empty}${headOf(7)}`;
  const together = await serve(t, (socket) => socket.end(`${head}${empty}OK`));
  assert.equal((await read(await get(together))).toString(), `${empty}OK`);
  const split = await serve(t, (socket) => {
    socket.write("\r", () => setImmediate(() => socket.end(`\n${head}${empty}OK`)));
  });
  assert.equal((await read(await get(split))).toString(), `${empty}OK`);
});

test("bytes after the body's length are not the body's", async (t) => {
  const port = await serve(t, (socket) => socket.end(`${headOf(4)}bodyHTTP/1.1 200 OK\r\n\r\n`));
  assert.equal((await read(await get(port))).toString(), "body");
});

test("heads without an end are refused", async (t) => {
  const interim = "HTTP/1.1 103 Early Hints\r\n\r\n";
  for (const [first, then] of [
    ["HTTP/1.1 200 OK\r\nx: ", "x".repeat(1024)],
    [`${interim}HTTP/1.1 200 OK\r\nx: `, "x".repeat(1024)],
    [interim, interim.repeat(1000)],
    ["\r\n", "\r\n".repeat(1000)],
  ] as const) {
    const port = await serve(t, (socket) => {
      socket.write(first);
      const more = (): void => {
        if (!socket.destroyed) socket.write(then, more);
      };
      more();
    });
    await assert.rejects(get(port), { code: "HPE_HEADER_OVERFLOW" });
  }
});

test("an answer that is no HTTP is refused", async (t) => {
  for (const answer of ["SSH-2.0-OpenSSH\r\n\r\n", "HTTP/2.0 100 Continue\r\n\r\n"]) {
    const port = await serve(t, (socket) => socket.write(answer));
    await assert.rejects(get(port), { code: "HPE_INVALID_CONSTANT" });
  }
});

test("an aborted request ends before its head, and while its body is awaited", async (t) => {
  const silent = await serve(t, () => undefined);
  const before = new AbortController();
  const asked = get(silent, before.signal);
  before.abort();
  await assert.rejects(asked, { name: "AbortError" });
  const port = await serve(t, (socket) => socket.write(`${headOf(100)}some`));
  const later = new AbortController();
  const pieces: string[] = [];
  for await (const piece of (await get(port, later.signal)).body) {
    pieces.push(piece.toString());
    setImmediate(() => later.abort());
  }
  assert.deepEqual(pieces, ["some"]);
});

test("a connection that ends early ends the body, and the head's reader", async (t) => {
  const early = await serve(t, (socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-le"));
  await assert.rejects(get(early), { code: "ECONNRESET" });
  const short = await serve(t, (socket) => socket.end(`${headOf(100)}short`));
  assert.equal((await read(await get(short))).toString(), "short");
  const sockets: Socket[] = [];
  const reset = await serve(t, (socket) => {
    sockets.push(socket);
    socket.write(`${headOf(100)}short`);
  });
  const untilReset = async (): Promise<void> => {
    for await (const _piece of (await get(reset)).body) sockets[0]?.resetAndDestroy();
  };
  await assert.rejects(untilReset(), { code: "ECONNRESET" });
});

/** Sends so much as its client takes. */
class Sender {
  sentBytes = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  readonly answer = (socket: Socket): void => {
    socket.write(headOf(this.#bytes.length));
    const more = (): void => {
      if (this.sentBytes === this.#bytes.length) return;
      const at = this.sentBytes;
      this.sentBytes += 64 * 1024;
      socket.write(this.#bytes.subarray(at, this.sentBytes), more);
    };
    more();
  };

  /** Resolves once nothing was sent in many turns of the event loop. */
  async untilStopped(): Promise<void> {
    for (let [turns, seenBytes] = [0, 0]; turns < 2000; turns += 1) {
      await turn();
      if (this.sentBytes !== seenBytes) [turns, seenBytes] = [0, this.sentBytes];
    }
  }
}

async function readsAtItsPace(sender: Sender, bytes: Buffer, response: Response): Promise<void> {
  await sender.untilStopped();
  // The kernel's sockets hold the more, the more memory the host has.
  assert.ok(sender.sentBytes < bytes.length, "all was sent before the first was read");
  assert.ok((await read(response)).equals(bytes));
}

test("a server is read at the pace of the image's reader", async (t) => {
  const bytes = randomBytes(64 * MIB);
  const plain = new Sender(bytes);
  await readsAtItsPace(plain, bytes, await get(await serve(t, plain.answer)));

  const authority = await Authority.make("images.example");
  const names = [{ type: "dns", value: "images.example" } as const];
  const { certificatePem: cert, keyPem: key } = await authority.issue("server/images", { names });
  const secured = async (
    sender: Sender,
    route: (port: number) => Promise<Route> | Route,
  ): Promise<Response> => {
    const server = createTlsServer(
      { cert, key },
      (socket) => void socket.once("data", () => sender.answer(socket)),
    );
    const port = await listening(t, server);
    const url = new URL(`https://images.example:${port}/x`);
    return await request(url, {
      route: await route(port),
      headers: {},
      ca: authority.certificatePem,
      signal,
    });
  };
  const direct = new Sender(bytes);
  await readsAtItsPace(direct, bytes, await secured(direct, () => ({ address: "127.0.0.1" })));

  const tunnelled = new Sender(bytes);
  const toProxy = async (port: number): Promise<Route> => ({ proxy: new URL((await proxyTo(t, port)).url) });
  await readsAtItsPace(tunnelled, bytes, await secured(tunnelled, toProxy));
});
