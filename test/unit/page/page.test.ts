import assert from "node:assert/strict";
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import test, { type TestContext } from "node:test";
import { gunzipSync } from "node:zlib";
import { PageStage, vmOf } from "../../support/page-stage.ts";
import { within } from "../../support/wait.ts";

interface Message {
  readonly event: string;
  readonly data: {
    readonly now: number;
    readonly vms?: readonly { readonly key: number; readonly name: string; readonly known: boolean }[];
    readonly put?: Message["data"]["vms"];
    readonly gone?: readonly number[];
    readonly events?: readonly { readonly kind: string; readonly details: object }[];
    readonly operations?: readonly { readonly kind: string; readonly vm: string }[];
    readonly round?: { readonly values: Readonly<Record<string, readonly (number | null)[]>> };
    readonly host?: { readonly vms: { readonly complete: boolean } };
  };
}

async function stageOf(context: TestContext): Promise<PageStage> {
  const stage = await PageStage.start();
  context.after(() => stage.stop());
  return stage;
}

async function request(
  stage: PageStage,
  path: string,
  headers: Record<string, string> = {},
  method = "GET",
  localAddress = "127.0.0.1",
): Promise<IncomingMessage> {
  const requested = get(new URL(path, stage.url), { headers, method, localAddress, agent: false });
  const [response] = (await once(requested, "response")) as [IncomingMessage];
  return response;
}

/** The stream's messages, one after the other; `until` returns the first that matches. */
async function watch(
  context: TestContext,
  stage: PageStage,
  from?: string,
): Promise<{ until(is: (sent: Message) => boolean): Promise<Message>; end(): void }> {
  const response = await request(stage, "/page/stream", {}, "GET", from);
  assert.equal(response.headers["content-type"], "text/event-stream; charset=utf-8");
  assert.equal(response.headers["x-accel-buffering"], "no", "a proxy must pass it on unbuffered");
  context.after(() => response.destroy());
  const frames = (async function* (): AsyncGenerator<Message, void, undefined> {
    let rest = "";
    for await (const chunk of response.setEncoding("utf8")) {
      const parts = (rest + String(chunk)).split("\n\n");
      rest = parts.pop() ?? "";
      for (const part of parts) {
        const match = /^event: (\w+)\ndata: (.*)$/.exec(part);
        yield { event: match?.[1] ?? "", data: JSON.parse(match?.[2] ?? "") as Message["data"] };
      }
    }
  })();
  return {
    end: () => void response.destroy(),
    until: (is) => {
      const found = async (): Promise<Message> => {
        for (;;) {
          const next = await frames.next();
          if (next.done === true) throw new Error("the stream ended");
          if (is(next.value)) return next.value;
        }
      };
      return within(found(), 60_000, "the message");
    },
  };
}

test("the page is served with its files, under a policy that allows no others", async (context) => {
  const stage = await stageOf(context);
  const page = await request(stage, "/", { "accept-encoding": "gzip" });
  assert.equal(page.statusCode, 200);
  assert.match(String(page.headers["content-security-policy"]), /^default-src 'none'; script-src 'self';/);
  assert.doesNotMatch(String(page.headers["content-security-policy"]), /unsafe|\*|data:/);
  assert.equal(page.headers["access-control-allow-origin"], undefined);
  const html = gunzipSync(Buffer.concat(await page.toArray())).toString();
  assert.doesNotMatch(html, /<script(?! type="module" src="\/page\/)|style=|\son\w+=|https?:/);
  for (const [, path = ""] of html.matchAll(/(?:src|href)="(\/page\/[^"]+)"/g)) {
    const loaded = await request(stage, path);
    assert.equal(loaded.statusCode, 200, path);
    assert.equal(
      (await request(stage, path, { "if-none-match": String(loaded.headers.etag) })).statusCode,
      304,
    );
    loaded.resume();
  }
  for (const path of [
    "/page/",
    "/page/tsconfig.json",
    "/page/..%2f..%2fpackage.json",
    "/page/%2e%2e/page.ts",
  ]) {
    assert.equal((await request(stage, path)).statusCode, 404, path);
  }
  assert.equal((await request(stage, "/", {}, "POST")).statusCode, 405);
  const head = await request(stage, "/", {}, "HEAD");
  assert.ok(Number(head.headers["content-length"]) > 500);
  assert.equal(await text(head), "");
});

test("a foreign name for this host, and a foreign site, are refused", async (context) => {
  const stage = await stageOf(context);
  for (const host of ["evil.example", "127.0.0.1.evil.example:80", "localhost.evil.example"]) {
    const refused = await request(stage, "/", { host });
    assert.equal(refused.statusCode, 403, host);
    assert.match(await text(refused), /host's own name/);
  }
  for (const host of ["localhost:9177", "[::1]:9177", "10.1.2.3"]) {
    assert.equal((await request(stage, "/", { host })).statusCode, 200, host);
  }
  const foreign = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors" };
  assert.equal((await request(stage, "/page/stream", foreign)).statusCode, 403);
  const link = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" };
  assert.equal((await request(stage, "/", link)).statusCode, 200);
});

test("a watcher gets everything, then changes, many changes in one message", async (context) => {
  const stage = await stageOf(context);
  stage.table.put(vmOf(1));
  stage.round();
  const stream = await watch(context, stage);
  const { data } = await stream.until(({ event }) => event === "state");
  assert.deepEqual(
    data.vms?.map(({ name, known }) => ({ name, known })),
    [{ name: "vm-1", known: true }],
  );
  assert.equal(data.host?.vms.complete, true);

  stage.table.put(vmOf(2));
  stage.table.put(vmOf(3));
  stage.publish({ kind: "vm_defined", vmName: "vm-2" });
  const added = await stream.until(({ data: { put } }) => put !== undefined);
  assert.deepEqual(
    added.data.put?.map(({ name }) => name),
    ["vm-2", "vm-3"],
  );
  assert.deepEqual(
    added.data.events?.map(({ kind }) => kind),
    ["vm_defined"],
  );

  await stage.rounds(2);
  const round = await stream.until(({ data: { round: sent } }) => sent !== undefined);
  assert.equal(Object.keys(round.data.round?.values ?? {}).length, 3);
  assert.equal(round.data.put, undefined); // readings alone are no change of a VM

  stage.table.markUnknown();
  const blind = await stream.until(({ data: { put } }) => put !== undefined);
  assert.deepEqual(
    blind.data.put?.map(({ known }) => known),
    [false, false, false],
  );
  assert.equal(blind.data.host?.vms.complete, false);

  stage.table.remove(vmOf(2).id);
  const gone = await stream.until(({ data: { gone: keys } }) => keys !== undefined);
  assert.deepEqual(gone.data.gone, [added.data.put.at(0)?.key]);
});

test("a VM that is removed while a round ends disappears from the page too", async (context) => {
  const stage = await stageOf(context);
  stage.table.put(vmOf(1));
  stage.table.put(vmOf(2));
  await stage.rounds(1);
  const stream = await watch(context, stage);
  const { data } = await stream.until(({ event }) => event === "state");
  const key = data.vms?.find(({ name }) => name === "vm-2")?.key;
  stage.table.remove(vmOf(2).id);
  await stage.rounds(1);
  const gone = await stream.until(({ data: { gone: keys } }) => keys !== undefined);
  assert.deepEqual(gone.data.gone, [key]);
});

test("secrets of a tenant or the provider never reach the page", async (context) => {
  const stage = await stageOf(context);
  stage.table.put(
    vmOf(1, {
      labels: { token: "hidden-label" },
      disks: [{ device: "vda", path: "/hidden/path" }],
      nics: [{ mac: "52:54:00:hidden" }],
      spec: { commandLine: "hidden-command" } as never,
    }),
  );
  const { snapshot } = stage;
  const identity = { ...snapshot.identity, serial: "hidden-serial", labels: { a: "hidden-host-label" } };
  const storagePools = snapshot.inventory.storagePools.map((pool) => ({ ...pool, path: "/hidden/pool" }));
  stage.snapshot = { ...snapshot, identity, inventory: { ...snapshot.inventory, storagePools } };
  stage.operations = [
    {
      id: "1",
      requestId: "hidden-request",
      kind: "CREATE_VM",
      vmId: vmOf(1).id,
      caller: "hidden-caller",
      state: "failed",
      steps: [],
      progress: 0,
      error: {
        kind: "internal",
        reason: "LIBVIRT_ERROR",
        message: "hidden message",
        metadata: { a: "hidden" },
      },
      createdAtMs: 1,
      endedAtMs: 2,
      result: { volume: "hidden-volume" },
      intent: { hidden: true },
    },
  ];
  stage.publish({ kind: "vm_io_error", vmName: "vm-1", details: { sourcePath: "/hidden/source" } });
  const stream = await watch(context, stage);
  const state = await stream.until(({ event }) => event === "state");
  assert.deepEqual(
    state.data.operations?.map(({ kind, vm }) => [kind, vm]),
    [["CREATE_VM", "vm-1"]],
  );
  assert.deepEqual(state.data.events?.[0]?.details, {});
  assert.doesNotMatch(JSON.stringify(state), /hidden/);
});

test("histories are sent of the requested VMs; invalid requests are refused", async (context) => {
  const stage = await stageOf(context);
  stage.table.put(vmOf(1));
  await stage.rounds(3);
  const answer = JSON.parse(await text(await request(stage, "/page/history?keys=1,999"))) as {
    readonly atMs: readonly number[];
    readonly vms: Readonly<Record<string, readonly (readonly (number | null)[])[]>>;
  };
  assert.equal(answer.atMs.length, 3);
  assert.deepEqual(Object.keys(answer.vms), ["1"]);
  assert.equal(answer.vms["1"]?.[0]?.[0], null); // the first sampling gives no rate
  assert.equal(typeof answer.vms["1"].at(2)?.at(0), "number");
  for (const keys of ["", "x", "-1", "1e9999", Array.from({ length: 500 }, () => "1").join(",")]) {
    assert.equal((await request(stage, `/page/history?keys=${keys}`)).statusCode, 400, keys);
  }
});

test("watchers are bounded, in total and by address; one that leaves frees its place", async (context) => {
  const stage = await stageOf(context);
  const statusFrom = async (from: string): Promise<number | undefined> => {
    const response = await request(stage, "/page/stream", {}, "GET", from);
    response.destroy();
    return response.statusCode;
  };
  const watchers: { end(): void }[] = [];
  for (let at = 0; at < 8; at += 1) watchers.push(await watch(context, stage, "127.0.0.2"));
  const refused = await request(stage, "/page/stream", {}, "GET", "127.0.0.2");
  assert.equal(refused.statusCode, 503);
  assert.match(await text(refused), /close one/);
  for (let at = 0; at < 8; at += 1) await watch(context, stage, "127.0.0.3");
  assert.equal(await statusFrom("127.0.0.4"), 503);
  watchers[0]?.end();
  const room = async (): Promise<void> => {
    while ((await statusFrom("127.0.0.4")) !== 200);
  };
  await within(room(), 60_000, "room for one more");
});

test("a client that refuses gzip gets none", async (context) => {
  const stage = await stageOf(context);
  for (const path of ["/", "/page/page.css", "/page/stream", "/page/history?keys=1"]) {
    const plain = await request(stage, path, { "accept-encoding": "gzip;q=0, identity" });
    assert.deepEqual([plain.statusCode, plain.headers["content-encoding"]], [200, undefined], path);
    plain.destroy();
    const packed = await request(stage, path, { "accept-encoding": "br, gzip" });
    assert.equal(packed.headers["content-encoding"], "gzip", path);
    packed.destroy();
  }
});
