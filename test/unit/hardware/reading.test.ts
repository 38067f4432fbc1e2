import assert from "node:assert/strict";
import fs from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import test, { type TestContext } from "node:test";
import { readCpuFrequency } from "../../../agent/hardware/cpu/cpu-frequency.ts";
import { meaningful } from "../../../agent/hardware/system/dmi.ts";
import { readPciFunctions } from "../../../agent/hardware/pci/pci.ts";
import { readRaid } from "../../../agent/hardware/storage/raid.ts";
import { parseNumberList, reading, valueOf } from "../../../agent/hardware/reading.ts";
import { unpackHost } from "../../support/tree.ts";

/** Makes the kernel give this result for every file with these words in its path. */
function answer(context: TestContext, words: string, code: string): void {
  const readFile = fs.readFile;
  const refused = Object.assign(new Error(code), { code });
  context.mock.method(fs, "readFile", (path: string, encoding: "utf8") =>
    path.includes(words) ? Promise.reject(refused) : readFile(path, encoding),
  );
  syncBuiltinESMExports();
  context.after(() => {
    context.mock.restoreAll();
    syncBuiltinESMExports();
  });
}

test("a file that never answers fails at the deadline, and holds one thread for all readers", async () => {
  let started = 0;
  const never = (): Promise<number> => {
    started += 1;
    return new Promise(() => undefined);
  };
  const answers = await Promise.all([reading("/test/never", never, 20), reading("/test/never", never, 20)]);
  assert.deepEqual(
    answers.map(({ kind }) => kind),
    ["failed", "failed"],
  );
  assert.equal((await reading("/test/never", never, 20)).kind, "failed");
  assert.equal(started, 1);
});

test("lists of numbers are parsed in the kernel's format", () => {
  assert.deepEqual(parseNumberList("0-2,8", "cpulist"), [0, 1, 2, 8]);
  assert.deepEqual(parseNumberList("", "cpulist"), []);
  assert.throws(() => parseNumberList("0-2-4", "cpulist"), /cpulist/);
  assert.throws(() => parseNumberList("0-99999999", "cpulist"), /cpulist/);
});

test("a CPU that goes offline during a read does not affect the others", async (context) => {
  const roots = await unpackHost(context, "two-sockets");
  answer(context, "cpu1/cpufreq", "EBUSY");
  assert.equal(valueOf(await readCpuFrequency(roots))?.highestHertz, 3.4e9);
});

test("an array that is stopped during a read does not affect the others", async (context) => {
  const roots = await unpackHost(context, "worn-compute-node");
  const names = async () => valueOf(await readRaid(roots))?.map(({ name }) => name);
  const all = (await names()) ?? [];
  assert.ok(all.length > 1, all.join());
  answer(context, `${all[0] ?? ""}/md/`, "EBUSY");
  assert.deepEqual(await names(), all.slice(1));
});

test("a PCI device removed during a read is gone, not unreadable", async (context) => {
  const roots = await unpackHost(context, "four-cells");
  const before = valueOf(await readPciFunctions(roots));
  const [pulled] = before?.functions ?? [];
  assert.ok(pulled !== undefined);
  answer(context, pulled.address, "ENODEV");
  const after = valueOf(await readPciFunctions(roots));
  assert.deepEqual(after?.unread, before?.unread);
  assert.equal(after?.functions.length, (before?.functions.length ?? 0) - 1);
});

test("placeholders of makers count as empty", () => {
  for (const left of ["N/A", "Not Applicable", "0123456789", "xxxxxxxx", "Undefined", " "])
    assert.equal(meaningful(left), undefined, left);
  assert.equal(meaningful("S3X1234"), "S3X1234");
});
