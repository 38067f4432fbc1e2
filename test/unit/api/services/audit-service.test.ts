// Reading the audit log remotely: roles, contents, and how a reader verifies it.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { createSecureContext } from "node:tls";
import { credentials, status } from "@grpc/grpc-js";
import { AuditLog, parseCheckpoint, verifyLog, type Entry } from "../../../../agent/audit/index.ts";
import { systemClock } from "../../../../agent/kernel/clock.ts";
import { silentLog } from "../../../../agent/kernel/log.ts";
import { replaceFile } from "../../../../agent/state/journal/durable-file.ts";
import { Trust } from "../../../../agent/trust/index.ts";
import type { AuditEntry__Output } from "../../../../agent/gen/socle/v1/AuditEntry.ts";
import type { ListAuditEntriesRequest } from "../../../../agent/gen/socle/v1/ListAuditEntriesRequest.ts";
import { Authority, installTrust } from "../../../scheduler/authority.ts";
import { dayMs, keyOf, started } from "../../../support/audit/log-of.ts";
import { folder } from "../../../support/state/folder.ts";
import { ApiClient, errorOf, protos, startApi } from "../../../support/api/harness.ts";

/** An API over this audit log, for callers with certificates. */
async function served(t: TestContext, log: AuditLog) {
  const directory = await folder(t);
  const authority = await Authority.make("cloud.example");
  await installTrust(directory, authority, await authority.issue("agent/host-1"));
  const trust = new Trust({
    replaceFile,
    directory,
    domain: "cloud.example",
    clock: systemClock,
    log: silentLog,
  });
  await trust.reload();
  const api = await startApi(t, { listen: "127.0.0.1:0" }, trust, undefined, {}, log);
  const as = async (holder: string): Promise<ApiClient> => {
    const { certificatePem: cert, keyPem: key } = await authority.issue(holder);
    const context = createSecureContext({ ca: authority.certificatePem, cert, key });
    const secured = credentials.createFromSecureContext(context, { checkServerIdentity: () => undefined });
    return new ApiClient(t, `127.0.0.1:${api.tcpPort ?? 0}`, {}, secured);
  };
  return { api, as };
}

/** An API over an audit log of 60 entries in several segments, every third of the tenant red. */
async function audited(t: TestContext) {
  const logDirectory = join(await folder(t), "audit");
  const keeping = { retentionMs: 190 * dayMs, segmentBytes: 4000 };
  const log = await AuditLog.open({
    directory: logDirectory,
    clock: systemClock,
    log: silentLog,
    ...keeping,
  });
  t.after(() => log.close());
  for (let i = 1; i <= 60; i += 1) await log.record(started(i % 3 === 0 ? `red-${i}` : `blue-${i}`));
  // Otherwise one is signed a second later, while a test reads.
  await log.checkpoint();
  return { ...(await served(t, log)), log, logDirectory };
}

async function all(client: ApiClient, request: ListAuditEntriesRequest): Promise<AuditEntry__Output[]> {
  const found: AuditEntry__Output[] = [];
  for (let pageToken = ""; ;) {
    const page = await client.call(protos.audit.ListAuditEntries, { ...request, pageToken }, 60_000);
    found.push(...page.entries);
    pageToken = page.nextPageToken;
    if (pageToken === "") return found;
  }
}

const entryOf = ({ json }: AuditEntry__Output): Entry => JSON.parse(json) as Entry;
const sha256 = (bytes: Buffer | string): Buffer => createHash("sha256").update(bytes).digest();

test("a damaged entry is left out, and those behind it are returned", async (t) => {
  const { as, log, logDirectory } = await audited(t);
  const auditor = await as("auditor/a");
  const whole = await all(auditor, {});
  const damaged = whole[20];
  assert.ok(damaged !== undefined);
  for (const name of await readdir(logDirectory)) {
    const path = join(logDirectory, name);
    const text = await readFile(path, "utf8");
    await writeFile(path, text.replace(damaged.json, damaged.json.replace("}", "]")));
  }
  const read = await all(auditor, { pageSize: 7 });
  assert.deepEqual(
    read.map(({ sequence }) => sequence),
    whole.map(({ sequence }) => sequence).filter((sequence) => sequence !== damaged.sequence),
  );
  const { problem } = await verifyLog(logDirectory, { key: await keyOf(logDirectory) });
  assert.equal(problem?.sequence, damaged.sequence);
  assert.equal(log.state.sequence, whole.length);
});

test("an auditor reads all entries page by page, and recomputes the chain from them", async (t) => {
  const { as, log } = await audited(t);
  const auditor = await as("auditor/a");
  const entries = await all(auditor, { pageSize: 7 });
  assert.deepEqual(
    entries.map(({ sequence }) => sequence),
    Array.from({ length: log.state.sequence }, (_, i) => i + 1),
  );
  let before = "0".repeat(64);
  for (const { previousHash, hash, json, sequence } of entries) {
    assert.equal(previousHash, before);
    const mark = Buffer.from((JSON.parse(json) as Entry).mark ?? "", "hex");
    const digest = sha256(Buffer.concat([Buffer.from("socle audit entry 1\n"), mark, sha256(json)]));
    assert.equal(hash, sha256(Buffer.concat([Buffer.from(before, "hex"), digest])).toString("hex"));
    assert.equal((JSON.parse(json) as Entry).sequence, sequence);
    before = hash;
  }
  const rest = await all(auditor, { afterSequence: 40 });
  assert.deepEqual(rest, entries.slice(40));
  const red = (await all(auditor, { tenant: "red", pageSize: 3 })).map(entryOf);
  assert.equal(red.length, 20);
  assert.ok(red.every(({ tenant }) => tenant === "red"));
  assert.deepEqual(
    (await all(auditor, { vm: "blue-4" })).map(({ sequence }) => sequence),
    entries.filter((entry) => entryOf(entry).vm === "blue-4").map(({ sequence }) => sequence),
  );
  const now = Math.floor(Date.now() / 1000);
  assert.equal((await all(auditor, { since: { seconds: now + 3600 } })).length, 0);
  assert.equal((await all(auditor, { until: { seconds: now - 3600 } })).length, 0);
  assert.equal((await all(auditor, { since: { seconds: now - 3600 } })).length, log.state.sequence);
  const other = auditor.call(protos.audit.ListAuditEntries, { tenant: "red", pageToken: "x" }, 60_000);
  assert.equal((await errorOf(other)).info.reason, "PAGE_TOKEN_INVALID");
});

test("a requested checkpoint is signed at once, and the log must match it from then on", async (t) => {
  const { as, logDirectory, log } = await audited(t);
  const auditor = await as("auditor/a");
  const { sequence } = log.state;
  const signed = parseCheckpoint(await auditor.call(protos.audit.SignCheckpoint, {}, 60_000));
  const key = await keyOf(logDirectory);
  assert.ok(signed !== undefined && key.vouches(signed));
  assert.ok(signed.sequence > sequence, "it covers its own admission too");
  assert.equal((await verifyLog(logDirectory, { key, anchors: [signed] })).problem, undefined);
  const signer = (await all(auditor, { afterSequence: sequence })).map(entryOf)[0];
  assert.deepEqual([signer?.act, signer?.caller?.role], ["call_admitted", "auditor"]);
});

test("an unreadable log gives an auditor neither entries nor a checkpoint, but the cause", async (t) => {
  const directory = await folder(t);
  await writeFile(join(directory, "key.pem"), "no key", { mode: 0o600 });
  const options = { directory, clock: systemClock, log: silentLog, retentionMs: dayMs };
  const log = await AuditLog.open(options);
  t.after(() => log.close());
  const { as } = await served(t, log);
  const auditor = await as("auditor/a");
  for (const call of [
    () => auditor.call(protos.audit.ListAuditEntries, {}, 60_000),
    () => auditor.call(protos.audit.SignCheckpoint, {}, 60_000),
  ]) {
    const { code, info, message } = await errorOf(call());
    assert.deepEqual([code, info.reason], [status.UNAVAILABLE, "STATE_UNREADABLE"]);
    assert.match(message, /key\.pem is not an Ed25519 private key in PEM form/);
  }
});

test("other roles are denied, and a tenant's auditor reads that tenant only", async (t) => {
  const { api, as } = await audited(t);
  const clients: [string, ApiClient][] = [["unix", new ApiClient(t, `unix:${api.socket}`)]];
  for (const role of ["viewer", "metrics", "scheduler", "operator", "admin"])
    clients.push([role, await as(`${role}/s-1`)]);
  for (const [clientRole, client] of clients) {
    for (const call of [
      () => client.call(protos.audit.ListAuditEntries, {}, 60_000),
      () => client.call(protos.audit.SignCheckpoint, {}, 60_000),
    ]) {
      const { code, info } = await errorOf(call());
      assert.deepEqual([code, info.reason], [status.PERMISSION_DENIED, "ROLE_DENIED"], clientRole);
    }
  }
  const auditor = await as("auditor/a");
  assert.equal(
    (await errorOf(auditor.call(protos.vms.StartVm, { requestId: "r", vm: "a" }))).info.reason,
    "ROLE_DENIED",
  );
  // Its admission is on disk behind all entries that were returned before.
  await auditor.call(protos.audit.SignCheckpoint, {}, 60_000);
  const refused = (await all(auditor, { afterSequence: 60 })).map(entryOf);
  assert.ok(refused.filter(({ act }) => act === "call_refused").length >= clients.length);

  const red = await as("auditor/a/tenant/red");
  const own = (await all(red, {})).map(entryOf);
  assert.equal(own.length, 20);
  assert.ok(own.every(({ tenant }) => tenant === "red"));
  const others = await errorOf(red.call(protos.audit.ListAuditEntries, { tenant: "blue" }, 60_000));
  assert.equal(others.info.reason, "TENANT_DENIED");
  assert.equal(
    (await errorOf(red.call(protos.audit.SignCheckpoint, {}, 60_000))).info.reason,
    "TENANT_DENIED",
  );
});
