import assert from "node:assert/strict";
import test from "node:test";
import { encoded } from "../../../agent/api/encodings.ts";
import { protos } from "./client.ts";

const { responseSerialize, responseDeserialize } = protos.vms.ListVms;
const encode = (message: object): Buffer => responseSerialize(message);
const listOf = (vms: number, name: string) => ({
  totalSize: vms,
  etag: "e",
  vms: Array.from({ length: vms }, () => ({ name })),
});

test("what is short is encoded at once, what has many objects or large ones in slices", () => {
  assert.ok(encoded(listOf(3, "web"), encode) instanceof Buffer);
  assert.ok(encoded(listOf(100, "web"), encode) instanceof Promise);
  assert.ok(encoded(listOf(3, "x".repeat(50_000)), encode) instanceof Promise);
});

test("the pieces are the same message", async () => {
  const message = listOf(100, "web");
  assert.deepEqual(responseDeserialize(await encoded(message, encode)), responseDeserialize(encode(message)));
});
