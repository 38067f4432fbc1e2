import assert from "node:assert/strict";
import test from "node:test";
import { encoded } from "../../../../agent/api/limits/encodings.ts";
import { Slice } from "../../../../agent/kernel/concurrency/slice.ts";
import { protos } from "../../../support/api/client.ts";

const { responseSerialize, responseDeserialize } = protos.vms.ListVms;
const slice = (): Slice => new Slice();
const encode = (message: object): Buffer => responseSerialize(message);
const listOf = (vms: number, name: string) => ({
  totalSize: vms,
  etag: "e",
  vms: Array.from({ length: vms }, () => ({ name })),
});

test("a short message is encoded at once, one with many or large objects in slices", () => {
  assert.ok(encoded(listOf(3, "web"), encode, slice) instanceof Buffer);
  assert.ok(encoded(listOf(100, "web"), encode, slice) instanceof Promise);
  assert.ok(encoded(listOf(3, "x".repeat(50_000)), encode, slice) instanceof Promise);
});

test("a message encoded in slices decodes to the same message", async () => {
  const message = listOf(100, "web");
  assert.deepEqual(
    responseDeserialize(await encoded(message, encode, slice)),
    responseDeserialize(encode(message)),
  );
});
