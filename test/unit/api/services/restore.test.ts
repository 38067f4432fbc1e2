import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { restoreDisk } from "../../../../agent/api/services/restore.ts";
import { ErrorEncoder } from "../../../../agent/api/convert/errors.ts";
import type { Upload } from "../../../../agent/vm/images/upload.ts";
import { eventually } from "../../../support/wait.ts";
import { ApiClient, protos, startApi, vm } from "../../../support/api/harness.ts";

const ID = "11111111-1111-4111-8111-111111111111";
const first = { requestId: "r1", vm: ID, disk: "root", sha256: "0".repeat(64), sizeBytes: 4, moreDisks: [] };

test("the bytes of a disk are held for its operation alone, and forgotten with the call", async (t) => {
  const { socket, table, dependencies, requests } = await startApi(t);
  table.put(vm(ID));
  const held = new Map<string, Upload>();
  Object.assign(dependencies.images, {
    hold(upload: string, source: Upload) {
      held.set(upload, source);
      return () => held.delete(upload);
    },
  });
  const client = new ApiClient(t, `unix:${socket}`);
  const call = client.bidi(protos.backups.RestoreDisk);
  call.on("error", () => undefined);
  call.write(first);
  const [begun] = (await once(call, "data")) as [{ operationId: string }];
  assert.notEqual(begun.operationId, "");
  const [[kind, asked] = []] = requests;
  assert.equal(kind, "RESTORE_DISK");
  const [upload = ""] = held.keys();
  assert.equal((asked as { upload?: unknown }).upload, upload);
  call.write({ content: Buffer.from("da") });
  call.write({ content: Buffer.from("ta") });
  call.end();
  const parts: Buffer[] = [];
  const source = held.get(upload)?.(new AbortController().signal) ?? assert.fail();
  for await (const part of source.bytes) parts.push(part);
  assert.equal(Buffer.concat(parts).toString(), "data");
  call.cancel();
  await eventually(() => held.size === 0, { what: "the bytes to be forgotten" });
  const again = client.bidi(protos.backups.RestoreDisk);
  again.on("error", () => undefined);
  again.write(first);
  await once(again, "data");
  // A repeated request names the same bytes: it is the same operation.
  const [, [, repeated] = []] = requests;
  assert.deepEqual(repeated, asked);
  again.cancel();
});

test("another tenant's VM appears absent to a restoration, and none of its bytes are held", async (t) => {
  const { table, dependencies, requests } = await startApi(t);
  table.put({ ...vm(ID, { tenant: "acme" }), name: "web" });
  let held = 0;
  Object.assign(dependencies.images, {
    hold: () => {
      held += 1;
      return () => (held -= 1);
    },
  });
  const service = restoreDisk(dependencies, new ErrorEncoder(protos));
  const caller = { name: "evil", role: "scheduler", tenant: "evil" };
  const context = { caller, signal: new AbortController().signal } as Parameters<typeof service>[1];
  async function* messages() {
    yield await Promise.resolve({ ...first, content: Buffer.alloc(0) });
  }
  const answers = service(messages(), context)[Symbol.asyncIterator]();
  await assert.rejects(answers.next(), { reason: "VM_NOT_FOUND" });
  assert.equal(held, 0);
  assert.equal(requests.length, 0);
});
