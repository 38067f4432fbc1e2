// Lists are cut by bytes as well as by count, so that a client with gRPC's default limit of 4 MiB can read each page.
import assert from "node:assert/strict";
import { test } from "node:test";
import { countWithin, messageBytes, pageBytes } from "../../../../agent/kernel/text/message-bytes.ts";
import { auditService } from "../../../../agent/api/services/audit-service.ts";
import { AuditLog } from "../../../../agent/audit/index.ts";
import { systemClock } from "../../../../agent/kernel/clock.ts";
import { silentLog } from "../../../../agent/kernel/log.ts";
import { Slice } from "../../../../agent/kernel/concurrency/slice.ts";
import { dayMs } from "../../../support/audit/log-of.ts";
import { folder } from "../../../support/state/folder.ts";
import { ApiClient, protos, startApi, vm } from "../../../support/api/harness.ts";

/** The largest labels of the contract: 64 values of 255 characters, each three bytes on the wire. */
const largest = Object.fromEntries(Array.from({ length: 64 }, (_, at) => [`label-${at}`, "漢".repeat(255)]));

const collect = async <Page extends { readonly nextPageToken: string }>(
  ask: (pageToken: string) => Promise<Page>,
): Promise<Page[]> => {
  const pages: Page[] = [];
  for (let pageToken = ""; ;) {
    const page = await ask(pageToken);
    pages.push(page);
    pageToken = page.nextPageToken;
    if (pageToken === "") return pages;
  }
};

test("the estimate of a message's bytes is an upper bound", () => {
  const message = { vmId: "a", labels: { ...largest, clé: "é" }, vcpus: 4_000_000_000, managed: true };
  const { length } = protos.vms.GetVm.responseSerialize(message);
  assert.ok(messageBytes(message) >= length);
  assert.ok(messageBytes(message) < 2 * length);
  assert.equal(countWithin([message, message], length), 1, "a page holds at least one entry");
  assert.equal(countWithin([]), 0);
});

test("100 VMs with the largest labels are listed completely, in pages of at most 1 MiB", async (t) => {
  const api = await startApi(t);
  for (let at = 100; at < 200; at += 1) api.table.put(vm(`vm-${at}`, { labels: largest, tenant: "red" }));
  const client = new ApiClient(t, `unix:${api.socket}`);
  const pages = await collect((pageToken) => client.call(protos.vms.ListVms, { pageSize: 1000, pageToken }));
  const ids = pages.flatMap(({ vms }) => vms.map(({ vmId }) => vmId));
  assert.deepEqual(
    ids,
    Array.from({ length: 100 }, (_, at) => `vm-${at + 100}`),
  );
  for (const page of pages) {
    assert.equal(page.totalSize, 100);
    assert.ok(protos.vms.ListVms.responseSerialize(page).length <= pageBytes);
  }
});

test("operations are listed in pages of at most 1 MiB", async (t) => {
  const api = await startApi(t);
  const client = new ApiClient(t, `unix:${api.socket}`);
  const text = "漢".repeat(30_000);
  for (let at = 0; at < 60; at += 1) {
    const begin = {
      caller: "c",
      requestId: `r-${at}`,
      kind: text,
      vmId: `v-${at}`,
      fingerprint: "f",
      intent: {},
    };
    await api.operations.begin(begin);
  }
  const pages = await collect((pageToken) =>
    client.call(protos.operations.ListOperations, { pageSize: 1000, pageToken }),
  );
  assert.equal(
    new Set(pages.flatMap(({ operations }) => operations.map((each) => each.operationId))).size,
    60,
  );
  for (const page of pages)
    assert.ok(protos.operations.ListOperations.responseSerialize(page).length <= pageBytes);
});

test("audit entries are read in pages of at most 1 MiB", async (t) => {
  const directory = await folder(t);
  const log = await AuditLog.open({
    directory,
    clock: systemClock,
    log: silentLog,
    retentionMs: dayMs,
    segmentBytes: 2 ** 24,
  });
  t.after(() => log.close());
  const details = Object.fromEntries(Array.from({ length: 16 }, (_, at) => [`d-${at}`, "漢".repeat(500)]));
  for (let at = 0; at < 60; at += 1) await log.record({ act: "call_refused", vm: `vm-${at}`, details });
  const { ListAuditEntries: list } = auditService(log);
  const request = { pageSize: 1000, afterSequence: 0, tenant: "", vm: "", since: null, until: null };
  const context = {
    caller: { name: "a", role: "auditor" as const },
    slice: () => new Slice(),
    signal: new AbortController().signal,
  };
  const pages = await collect(async (pageToken) => {
    const { entries = [], nextPageToken = "" } = await list({ ...request, pageToken }, context);
    return { entries, nextPageToken };
  });
  const seen = pages.flatMap(({ entries }) =>
    entries.map(({ json }) => (JSON.parse(String(json)) as { vm?: string }).vm),
  );
  assert.deepEqual(
    seen.filter((each) => each !== undefined),
    Array.from({ length: 60 }, (_, at) => `vm-${at}`),
  );
  for (const page of pages)
    assert.ok(protos.audit.ListAuditEntries.responseSerialize(page).length <= pageBytes);
});
