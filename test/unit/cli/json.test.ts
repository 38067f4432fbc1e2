import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { durationFields, toJson } from "../../../agent/cli/json.ts";
import { protoDirectory } from "../../support/cli/fake-agent.ts";

test("a point in time and a length of time are distinguished", () => {
  const at = { seconds: 1_700_000_000, nanos: 5e8 };
  assert.deepEqual(
    toJson({ createdAt: at, ttl: { seconds: 90, nanos: 0 }, remaining: { seconds: 1, nanos: 250_000_000 } }),
    { createdAt: "2023-11-14T22:13:20.500Z", ttl: "90s", remaining: "1.25s" },
  );
});

test("a length of time has the nine decimals of the contract's JSON at most", () => {
  const printed = [
    { seconds: 3703, nanos: 796_031_309 },
    { seconds: 0, nanos: 100 },
    { seconds: 100, nanos: 0 },
  ].map((ttl) => toJson({ ttl }));
  assert.deepEqual(printed, [{ ttl: "3703.796031309s" }, { ttl: "0.0000001s" }, { ttl: "100s" }]);
});

test("every length of time in the contract has a name that no point in time has", async () => {
  const directory = join(protoDirectory, "socle/v1");
  const texts = await Promise.all(
    (await readdir(directory)).map((name) => readFile(join(directory, name), "utf8")),
  );
  const named = (type: string): string[] =>
    [...texts.join("\n").matchAll(new RegExp(`google\\.protobuf\\.${type} (\\w+) =`, "g"))].map(
      ([, name = ""]) => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()),
    );
  assert.ok(named("Duration").length > 0);
  assert.deepEqual([...new Set(named("Duration"))].sort(), [...durationFields].sort());
  assert.deepEqual(
    named("Timestamp").filter((name) => durationFields.has(name)),
    [],
  );
});
