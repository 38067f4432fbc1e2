// How what libvirt wrote into a pool reaches its disk.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { childOf } from "../../../../agent/hardware/privileged/child.ts";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import type { Procedure } from "../../../../agent/libvirt/index.ts";
import { PoolSync, type RunSync } from "../../../../agent/vm/storage/pool-sync.ts";
import { VolumeLookup } from "../../../../agent/vm/storage/volume-lookup.ts";

/** A pool in a temporary directory. `answer`: of each sync, by its last argument; "" is one of all filesystems. */
async function poolOf(
  context: TestContext,
  answer: (path: string) => SocleError | undefined,
  type = "dir",
): Promise<{ sync: () => Promise<void>; directory: string; asked: string[] }> {
  const directory = await mkdtemp(join(tmpdir(), "socle-sync-"));
  context.after(() => rm(directory, { recursive: true, force: true }));
  const answers: Record<string, unknown> = {
    STORAGE_POOL_LOOKUP_BY_NAME: { pool: { name: "p", uuid: "" } },
    STORAGE_POOL_GET_XML_DESC: {
      xml: `<pool type='${type}'><name>p</name><target><path>${directory}</path></target></pool>`,
    },
  };
  const call = <A, R>({ name }: Procedure<A, R>): Promise<R> => Promise.resolve(answers[name] as R);
  const asked: string[] = [];
  const run: RunSync = (args) => {
    const path = args.at(-1) ?? "";
    asked.push(path);
    const refusal = answer(path);
    const output =
      refusal === undefined ? Promise.resolve({ stdout: "", stderr: "" }) : Promise.reject(refusal);
    // A child that was given up may run on.
    return refusal?.kind === "timeout" ? { output, gone: new Promise(() => undefined) } : childOf(output);
  };
  const sync = new PoolSync(new VolumeLookup({ call }), run);
  return { sync: () => sync.sync("p"), directory, asked };
}

const denied = new SocleError("internal", "CHILD_FAILED", "sync: error opening '/p': Permission denied");

test("the filesystem is synced by the pool's directory", async (context) => {
  const { sync, directory, asked } = await poolOf(context, () => undefined);
  await sync();
  assert.deepEqual(asked, [directory]);
});

test("where the agent may open no directory of the filesystem, all filesystems are synced", async (context) => {
  const { sync, directory, asked } = await poolOf(context, (path) => (path === "" ? undefined : denied));
  await sync();
  assert.equal(asked[0], directory);
  assert.equal(asked.at(-1), "");
});

test("an error of the disk fails the sync, and a disk that hangs is not asked again", async (context) => {
  const broken = new SocleError("internal", "CHILD_FAILED", "sync: Input/output error");
  const failing = await poolOf(context, () => broken);
  await assert.rejects(failing.sync(), {
    kind: "unavailable",
    reason: "POOL_NOT_SYNCED",
    message: /Input\/output/,
  });
  const hanging = await poolOf(context, () => new SocleError("timeout", "CHILD_TIMEOUT", "sync did not end"));
  for (let time = 0; time < 3; time += 1)
    await assert.rejects(hanging.sync(), { kind: "unavailable", reason: "POOL_NOT_SYNCED" });
  assert.equal(hanging.asked.length, 1);
});

test("a pool of block devices needs no sync", async (context) => {
  const { sync, asked } = await poolOf(context, () => undefined, "logical");
  await sync();
  assert.deepEqual(asked, []);
});
