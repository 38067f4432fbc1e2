import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test, type TestContext } from "node:test";
import { systemClock, type Clock } from "../../../../agent/kernel/clock.ts";
import { toSocleError, type SocleError } from "../../../../agent/kernel/errors.ts";
import { Downloads, type DownloadOptions } from "../../../../agent/vm/images/download.ts";
import { Authority } from "../../../scheduler/authority.ts";
import { ImageServer } from "../../../support/image-server.ts";
import { proxyTo } from "../../../support/listening.ts";

const bytes = randomBytes(1_000_000);
/** Waits between attempts pass at once; deadlines stay. */
const impatient: Clock = {
  ...systemClock,
  sleep: (ms, signal) => systemClock.sleep(ms < 20_000 ? 0 : ms, signal),
};
const lax = { allowHttp: true, allowPrivateAddresses: true, allowedHosts: [] };

async function serverOf(t: TestContext): Promise<ImageServer> {
  const server = await ImageServer.start();
  t.after(() => server.stop());
  return server;
}

const downloads = (options: Partial<DownloadOptions> = {}): Downloads =>
  new Downloads({
    rules: lax,
    proxy: null,
    authorities: () => Promise.resolve(undefined),
    clock: impatient,
    ...options,
  });

async function fetched(
  url: string,
  options: Partial<DownloadOptions> & { isTenants?: boolean; signal?: AbortSignal } = {},
): Promise<Buffer> {
  const { isTenants = false, signal = new AbortController().signal, ...rest } = options;
  const source = await downloads(rest).open(new URL(url), isTenants, signal);
  const pieces: Buffer[] = [];
  for await (const piece of source.bytes) pieces.push(Buffer.from(piece));
  const whole = Buffer.concat(pieces);
  assert.equal(whole.length, source.sizeBytes);
  return whole;
}

const errorOf = async (work: Promise<unknown>): Promise<SocleError> => {
  const [outcome] = await Promise.allSettled([work]);
  assert.equal(outcome.status, "rejected");
  return toSocleError(outcome.reason);
};

test("the bytes arrive as they are", async (t) => {
  const server = await serverOf(t);
  assert.deepEqual(await fetched(server.serve("/x", { bytes })), bytes);
});

test("a refused name shows a caller no address, and a tenant not whether the name exists", async () => {
  const named = "https://vault.corp.example/x.qcow2";
  const refused = async (isTenants: boolean, lookup: DownloadOptions["lookup"]) =>
    await errorOf(
      fetched(named, {
        rules: { ...lax, allowPrivateAddresses: false },
        isTenants,
        ...(lookup && { lookup }),
      }),
    );
  const internal = () => Promise.resolve([{ address: "10.11.12.13" }]);
  const absent = () => Promise.reject(Object.assign(new Error("ENOTFOUND"), { code: "ENOTFOUND" }));
  for (const isTenants of [true, false])
    assert.doesNotMatch((await refused(isTenants, internal)).message, /10\.11\.12\.13/);
  const [one, other] = [await refused(true, internal), await refused(true, absent)];
  assert.deepEqual([one.reason, one.message], [other.reason, other.message]);
  assert.equal(one.details.metadata?.["address"], undefined);
  // The provider finds the address beside the text, and what DNS answers.
  assert.equal((await refused(false, internal)).details.metadata?.["address"], "10.11.12.13");
  assert.equal((await refused(false, absent)).reason, "IMAGE_SOURCE_FAILED");
});

test("a cut download continues at the byte where it was cut, if the image is the same", async (t) => {
  const server = await serverOf(t);
  const headers = { etag: '"v1"' };
  const url = server.serve("/x", { bytes, headers, cuts: { afterBytes: 300_000, times: 3 } });
  assert.deepEqual(await fetched(url), bytes);
  const [first, ...later] = server.requests;
  assert.equal(first?.range, undefined);
  assert.equal(later.length, 3);
  for (const { range, ifRange } of later) {
    assert.match(range ?? "", /^bytes=\d+-$/);
    assert.equal(ifRange, '"v1"');
  }
});

test("a server that ignores ranges sends the bytes again, and none of them twice to the image", async (t) => {
  const server = await serverOf(t);
  const url = server.serve("/x", { bytes, ignoresRanges: true, cuts: { afterBytes: 300_000, times: 2 } });
  assert.deepEqual(await fetched(url), bytes);
});

test("a server that always cuts is given up", async (t) => {
  const server = await serverOf(t);
  const url = server.serve("/x", { bytes, cuts: { afterBytes: 1000, times: 1000 } });
  const { reason } = await errorOf(fetched(url));
  assert.equal(reason, "IMAGE_SOURCE_FAILED");
  assert.ok(server.requests.length < 20, `${server.requests.length} requests`);
});

test("an image that changes its length during the download is refused", async (t) => {
  const server = await serverOf(t);
  const url = server.serve("/x", { bytes, cuts: { afterBytes: 300_000, times: 1 } });
  const source = await downloads().open(new URL(url), false, new AbortController().signal);
  server.serve("/x", { bytes: bytes.subarray(0, 900_000) });
  const rest = async (): Promise<void> => {
    for await (const _piece of source.bytes);
  };
  assert.equal((await errorOf(rest())).reason, "IMAGE_SOURCE_FAILED");
});

test("without a length, and with an encoding, an image is refused", async (t) => {
  const server = await serverOf(t);
  const chunked = await errorOf(fetched(server.serve("/chunked", { bytes, isChunked: true })));
  assert.equal(chunked.reason, "IMAGE_LENGTH_UNKNOWN");
  const headers = { "content-encoding": "gzip" };
  const encoded = await errorOf(fetched(server.serve("/gzip", { bytes, headers })));
  assert.equal(encoded.reason, "IMAGE_SOURCE_FAILED");
});

test("redirects are followed five times, and a loop ends", async (t) => {
  const server = await serverOf(t);
  server.serve("/end", { bytes });
  for (const [from, to] of [
    [1, 2],
    [2, 3],
    [3, 4],
    [4, 5],
  ])
    server.redirect(`/${from}`, `/${to}`);
  server.redirect("/5", server.url("/end"));
  assert.deepEqual(await fetched(server.url("/1")), bytes);
  const before = server.requests.length;
  assert.equal((await errorOf(fetched(server.redirect("/loop", "/loop")))).reason, "IMAGE_SOURCE_FAILED");
  assert.equal(server.requests.length - before, 6);
});

test("a redirect is checked like the URL: scheme, host name and address", async (t) => {
  const server = await serverOf(t);
  const hidden = server.serve("/hidden", { bytes });
  const lookup = () => Promise.resolve([{ address: "127.0.0.1" }]);
  const denials: readonly [string, DownloadOptions["rules"]][] = [
    [server.redirect("/to-file", "file:///etc/shadow"), lax],
    [server.redirect("/to-group", "http://224.0.0.1/x"), lax],
    [
      server.redirect("/to-name", hidden.replace("127.0.0.1", "other.example")),
      { ...lax, allowedHosts: ["127.0.0.1"] },
    ],
  ];
  for (const [url, rules] of denials)
    assert.equal((await errorOf(fetched(url, { rules, lookup }))).reason, "IMAGE_SOURCE_DENIED", url);
  assert.equal(
    server.requests.some(({ url }) => url === "/hidden"),
    false,
  );
});

test("a name with a private address is denied, and a tenant's callers never reach one", async (t) => {
  const server = await serverOf(t);
  const url = server.serve("/x", { bytes });
  const named = url.replace("127.0.0.1", "images.example");
  const lookup = () => Promise.resolve([{ address: "93.184.215.14" }, { address: "127.0.0.1" }]);
  const rules = { ...lax, allowPrivateAddresses: false };
  assert.equal((await errorOf(fetched(named, { rules, lookup }))).reason, "IMAGE_SOURCE_DENIED");
  assert.equal((await errorOf(fetched(url, { isTenants: true }))).reason, "IMAGE_SOURCE_DENIED");
  assert.deepEqual(server.requests, []);
});

test("the connection is made to the address that was checked", async (t) => {
  const server = await serverOf(t);
  const named = server.serve("/x", { bytes }).replace("127.0.0.1", "images.example");
  let lookups = 0;
  const lookup = () => {
    lookups += 1;
    return Promise.resolve([{ address: "127.0.0.1" }]);
  };
  assert.deepEqual(await fetched(named, { lookup }), bytes);
  assert.equal(lookups, 1);
});

test("credentials go to their own origin only, and no error shows them", async (t) => {
  const [server, other] = [await serverOf(t), await serverOf(t)];
  other.serve("/x", { bytes });
  server.redirect("/x", other.url("/x"));
  const url = server.url("/x", "user:hidden@127.0.0.1");
  assert.deepEqual(await fetched(url), bytes);
  assert.equal(server.requests[0]?.authorization, `Basic ${Buffer.from("user:hidden").toString("base64")}`);
  assert.equal(other.requests[0]?.authorization, undefined);
  const missing = await errorOf(fetched(`${server.url("/none", "user:hidden@127.0.0.1")}?token=hidden`));
  assert.equal(missing.reason, "IMAGE_SOURCE_FAILED");
  assert.doesNotMatch(`${missing.message} ${String(missing.stack)} ${String(missing.cause)}`, /hidden/);
});

test("a cancelled download ends with the reason of its signal", async (t) => {
  const server = await serverOf(t);
  const end = new AbortController();
  const url = server.serve("/x", { bytes, stopsAfterBytes: 1000 });
  const work = fetched(url, { signal: end.signal });
  await server.untilHeld();
  end.abort(new Error("enough"));
  assert.equal((await errorOf(work)).message, "enough");
});

test("https goes through the proxy, to the server that the certificate names", async (t) => {
  const authority = await Authority.make("images.example");
  const names = [{ type: "dns", value: "images.example" } as const];
  const { certificatePem: cert, keyPem: key } = await authority.issue("server/images", { names });
  const server = await ImageServer.start({ cert, key });
  t.after(() => server.stop());
  server.serve("/x", { bytes });
  const { url: proxy, targets } = await proxyTo(t, server.port);
  const options = { proxy, authorities: () => Promise.resolve(authority.certificatePem) };
  assert.deepEqual(await fetched("https://images.example/x", options), bytes);
  assert.deepEqual(targets, ["images.example:443"]);
  const { reason } = await errorOf(fetched("https://other.example/x", options));
  assert.equal(reason, "IMAGE_SOURCE_FAILED");
});
