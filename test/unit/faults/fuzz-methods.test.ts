import assert from "node:assert/strict";
import { test } from "node:test";
import { serialize } from "node:v8";
import { loadContract } from "../../../agent/contract/load.ts";
import { methods } from "../../../agent/contract/methods.ts";
import { methodsOf } from "../../faults/contract-methods.ts";
import { calledServices, fuzzedPaths, grpc } from "../../faults/fuzz-services.ts";
import { protoDirectory } from "../../support/socle-host.ts";

test("the fuzz campaign calls each method that the agent serves", () => {
  assert.deepEqual([...fuzzedPaths].sort(), Object.keys(methods).sort());
});

test("the contract has no method that is neither fuzzed nor of a service that the agent calls", () => {
  const left = [...methodsOf(loadContract(protoDirectory)).keys()].filter((path) => !fuzzedPaths.has(path));
  const services = new Set(left.map((path) => /\.(\w+)\//.exec(path)?.[1] ?? path));
  assert.deepEqual([...services].sort(), Object.keys(calledServices).sort());
});

test("a method that crashes is a violation", async (t) => {
  const { target, api } = await grpc((undo) => t.after(undo));
  api.vms.begin = () => {
    throw new TypeError("planted");
  };
  const { path, requestSerialize } = loadContract(protoDirectory).snapshots.RevertSnapshot;
  const request = requestSerialize({ requestId: "r-1", vm: "name-a", snapshot: "one", force: true });
  await assert.rejects(async () => target.feed(serialize({ path, request })), /RevertSnapshot/);
});
