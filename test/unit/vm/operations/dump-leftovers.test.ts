import assert from "node:assert/strict";
import { chmod, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { createLog } from "../../../../agent/kernel/log.ts";
import type { Operation } from "../../../../agent/state/operations/operation.ts";
import { DumpLeftovers } from "../../../../agent/vm/operations/dump-leftovers.ts";
import { DumpDirectory } from "../../../../agent/vm/storage/dump-directory.ts";
import { FakeClock } from "../../../support/host/fake-clock.ts";
import { folder } from "../../../support/state/folder.ts";
import { eventually } from "../../../support/wait.ts";

const GIB = 2 ** 30;
const VM = "6f1c2f1e-0000-4000-8000-000000000001";

/** A directory for dumps with room for 1 GiB, and a journal of operations. */
async function stage(t: TestContext) {
  const path = await folder(t);
  await chmod(path, 0o700);
  const space = { sizeBytes: GIB, usedBytes: 0, availableBytes: 3 * GIB, availableRatio: 1 };
  const dumps = new DumpDirectory(path, {
    probe: { read: () => Promise.resolve({ kind: "read", value: space }) },
  });
  const journal = new Map<string, Pick<Operation, "id" | "vmId" | "state" | "error">>();
  const on = {
    dumps,
    /** VMs whose memory libvirt writes. */
    dumping: new Set<string>(),
    refusal: undefined as SocleError | undefined,
    logged: "",
    clock: new FakeClock(),
    files: async () => (await readdir(path)).sort(),
    write: (file: string) => writeFile(join(path, file), "core", { mode: 0o600 }),
    /** An operation of this state, with the file of its dump. */
    operation(state: Operation["state"], { vmId = VM, reason = "" } = {}) {
      const id = `0193a0c0-0000-7000-8000-${String(journal.size).padStart(12, "0")}`;
      const error = reason === "" ? {} : { error: { kind: "conflict", reason, message: "", metadata: {} } };
      journal.set(id, { id, vmId, state, ...error });
      return {
        file: `web.1.${id}.elf`,
        end: (as: Operation["state"]) => journal.set(id, { id, vmId, state: as }),
      };
    },
  };
  const get = (id: string): Operation => {
    const found = journal.get(id);
    if (found === undefined) throw new SocleError("not_found", "OPERATION_NOT_FOUND", "there is none");
    return found as Operation;
  };
  const isUnderWay = (vmId: string) => Promise.resolve(on.dumping.has(vmId));
  const leftovers = new DumpLeftovers({
    dumps,
    operations: {
      get,
      get refusal() {
        return on.refusal;
      },
      untilPermitted: () => Promise.resolve(),
    },
    domains: { settledState: () => Promise.resolve(undefined), memoryDumps: { isUnderWay } as never },
    table: { untilComplete: () => Promise.resolve() },
    clock: on.clock,
    log: createLog({ level: "warn", destination: { write: (line) => void (on.logged += line) } }),
  });
  return Object.assign(on, { leftovers, sweep: () => leftovers.sweep(new AbortController().signal) });
}

test("the part of a dump that was refused before it ran again is deleted, and no other file", async (t) => {
  const on = await stage(t);
  const refused = on.operation("failed", { reason: "VM_REPLACED" });
  const cancelled = on.operation("cancelled");
  const kept = [
    `${on.operation("running").file}.part`,
    `${on.operation("outcome_unknown").file}.part`,
    // A person said that it is done, or was asked to look at the file.
    `${on.operation("succeeded").file}.part`,
    `${on.operation("failed", { reason: "DUMP_NOT_KEPT" }).file}.part`,
    // A whole dump, and files of others.
    refused.file,
    "notes.part",
    "web.elf.part",
  ].sort();
  for (const file of [...kept, `${refused.file}.part`, `${cancelled.file}.part`]) await on.write(file);
  await on.sweep();
  assert.deepEqual(await on.files(), kept);
  assert.match(on.logged, new RegExp(`${refused.file}\\.part`));
});

test("a part stays while libvirt may be writing it, or while this agent may change nothing", async (t) => {
  const on = await stage(t);
  const part = `${on.operation("failed").file}.part`;
  await on.write(part);
  on.dumping.add(VM);
  await on.sweep();
  assert.deepEqual(await on.files(), [part]);
  on.dumping.clear();
  on.refusal = new SocleError("unavailable", "LEASE_LOST", "another agent has this host");
  await on.sweep();
  assert.deepEqual(await on.files(), [part]);
  on.refusal = undefined;
  await on.sweep();
  assert.deepEqual(await on.files(), []);
});

test("a part of an operation that the journal does not have stays, and the log names it once", async (t) => {
  const on = await stage(t);
  const part = "web.0193a0c0-0000-7000-8000-00000000000f.kdump.part";
  await on.write(part);
  await on.sweep();
  await on.sweep();
  assert.deepEqual(await on.files(), [part]);
  assert.equal(on.logged.split(part).length - 1, 1, on.logged);
});

test("the room of a dump that ended without its work is free again once libvirt does not write it", async (t) => {
  const on = await stage(t);
  const { file, end } = on.operation("outcome_unknown");
  await on.dumps.claim(file, GIB);
  const isFull = () => assert.rejects(on.dumps.requireRoom(1), { reason: "DUMP_NO_SPACE" });
  await on.sweep();
  await isFull();
  // A person settles it.
  end("failed");
  on.dumping.add(VM);
  await on.sweep();
  await isFull();
  on.dumping.clear();
  await on.sweep();
  await on.dumps.requireRoom(GIB);
});

test("leftovers are looked for at the start, and again each minute", async (t) => {
  const on = await stage(t);
  const [first, second] = [on.operation("failed"), on.operation("failed")];
  await on.write(`${first.file}.part`);
  const ending = new AbortController();
  const running = on.leftovers.run(ending.signal, () => undefined);
  const isEmpty = async (): Promise<boolean> => (await on.files()).length === 0;
  await eventually(isEmpty, { what: "the first look" });
  await on.write(`${second.file}.part`);
  await eventually(
    async () => {
      on.clock.advance(60_000);
      return await isEmpty();
    },
    { what: "the next look" },
  );
  ending.abort();
  await running;
});
