import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError, toSocleError } from "../../../../agent/kernel/errors.ts";
import type { LibvirtCalls } from "../../../../agent/vm/hypervisor/certainty.ts";
import { MemoryDumps } from "../../../../agent/vm/hypervisor/memory-dumps.ts";
import type { Admission, Result } from "../../../../agent/vm/operations/definition.ts";
import { dumpMemory } from "../../../../agent/vm/operations/dump-memory.ts";
import { outcomeUnknown, type RunContext, type WorkRun } from "../../../../agent/vm/operations/work.ts";
import { sleepingClock } from "../../../support/vm/libvirt-answers.ts";
import { root, WorkStage } from "../../../support/vm/work-stage.ts";

const MIB = 2 ** 20;
const capacityBytes = 128 * MIB;
const KEY = "images/dump.raw";
const volume = { pool: "images", volume: "dump.raw", capacityBytes };
const WRITTEN = 65 * MIB + 5;

/** A running guest, whose memory libvirt dumps as `write` does. */
class Stage {
  readonly on = new WorkStage([root]);
  allocatedBytes = 0;
  isUnderWay = false;
  availableBytes = 1024 * MIB;
  write = (): Promise<void> => Promise.resolve();
  look = (): Promise<void> => Promise.resolve();

  constructor() {
    Object.assign(this.on, { state: "running" }).show();
    const { volumes } = this.on;
    const memoryDumps = {
      hold: () => () => undefined,
      write: async (_id: string, { path }: { path: string }) => {
        this.on.did.push(`dump to ${path}`);
        await this.write();
        volumes.set(KEY, WRITTEN);
      },
      isUnderWay: () => Promise.resolve(this.isUnderWay),
    };
    Object.assign(this.on.context.domains, { memoryDumps });
    Object.assign(this.on.context.volumes, {
      isThere: () => this.look().then(() => volumes.has(KEY)),
    });
  }

  get context(): RunContext {
    const facts = async () => {
      await this.look();
      const size = this.on.volumes.get(KEY) ?? 0;
      return { capacityBytes: size, sizeBytes: size, allocatedBytes: this.allocatedBytes };
    };
    const requireRoom = (_pool: string, bytes: number) =>
      bytes <= this.availableBytes
        ? Promise.resolve()
        : Promise.reject(new SocleError("exhausted", "POOL_FULL", "full"));
    return { ...this.on.context, images: { volumes: { facts, requireRoom } } } as unknown as RunContext;
  }

  async dump(run: Partial<WorkRun> = {}): Promise<Result | string> {
    const asked = { format: "elf", name: "web", allowEncrypted: false, volume } as const;
    return await dumpMemory
      .run(this.context, asked, { ...this.on.run(), ...run })
      .catch((thrown: unknown) => toSocleError(thrown).reason);
  }

  again(...done: string[]): Promise<Result | string> {
    return this.dump(this.on.run({ done, cutOff: ["write memory"] }));
  }

  get has(): number | undefined {
    return this.on.volumes.get(KEY);
  }
}

/** The reason of an end that is not known yet. */
const OPEN = outcomeUnknown(new SocleError("internal", "X", "x")).reason;
const lost = new SocleError("outcome_unknown", "LIBVIRT_TIMEOUT", "no answer");

test("memory is dumped into a new volume, which keeps the dump's size", async () => {
  const stage = new Stage();
  assert.deepEqual(await stage.dump(), {
    pool: "images",
    volume: "dump.raw",
    size_bytes: String(WRITTEN),
    format: "elf",
  });
  assert.deepEqual(stage.on.did, [`make ${KEY}`, "dump to /images/dump.raw"]);
  assert.equal(stage.has, WRITTEN);
});

test("a volume that exists is left alone, and a pool without room gets none", async () => {
  const stage = new Stage();
  stage.on.volumes.set(KEY, 7);
  assert.equal(await stage.dump(), "VOLUME_EXISTS");
  assert.equal(stage.has, 7);
  const full = new Stage();
  full.availableBytes = capacityBytes - 1;
  assert.equal(await full.dump(), "POOL_FULL");
  assert.deepEqual(full.on.did, []);
});

test("a dump that libvirt refuses, or of a VM that has grown meanwhile, leaves no volume", async () => {
  const stage = new Stage();
  stage.write = () => Promise.reject(new SocleError("internal", "LIBVIRT_OPERATION_FAILED", "no"));
  assert.equal(await stage.dump(), "LIBVIRT_OPERATION_FAILED");
  assert.deepEqual([stage.has, stage.on.did.at(-1)], [undefined, `remove ${KEY}`]);
  const grown = new Stage();
  const vm = grown.on.table.get(WorkStage.id) ?? assert.fail();
  grown.on.table.put({ ...vm, memoryBytes: capacityBytes });
  assert.equal(await grown.dump(), "DUMP_NO_SPACE");
  assert.deepEqual(grown.on.did, []);
});

test("a volume that libvirt may still be writing to stays until its end is known, and is then deleted", async () => {
  const stage = new Stage();
  stage.write = () => Promise.reject(lost);
  stage.isUnderWay = true;
  assert.equal(await stage.dump(), "LIBVIRT_TIMEOUT");
  assert.equal(stage.has, capacityBytes);
  stage.allocatedBytes = 1;
  assert.equal(await stage.again("check name", "create volume"), "EFFECT_UNDER_WAY");
  assert.equal(stage.has, capacityBytes);
  stage.isUnderWay = false;
  assert.equal(await stage.again("check name", "create volume"), "INTERRUPTED");
  assert.equal(stage.has, undefined);
});

test("a whole dump stays if a look after it fails, and a part is deleted once its pool is active", async () => {
  const away = () => Promise.reject(new SocleError("unavailable", "POOL_INACTIVE", "it is not active"));
  const whole = new Stage();
  whole.look = away;
  assert.equal(await whole.dump(), OPEN);
  assert.equal(whole.has, WRITTEN);
  const part = new Stage();
  part.on.volumes.set(KEY, capacityBytes);
  part.look = away;
  assert.equal(await part.again("check name", "create volume"), OPEN);
  part.look = () => Promise.resolve();
  assert.equal(await part.again("check name", "create volume"), "INTERRUPTED");
  assert.equal(part.has, undefined);
});

test("a resumed dump keeps a whole one, deletes its own part, and no volume of others", async () => {
  const whole = new Stage();
  whole.on.volumes.set(KEY, WRITTEN);
  const result = await whole.again("check name", "create volume", "write memory");
  assert.equal(typeof result === "object" && result["size_bytes"], String(WRITTEN));
  assert.equal(whole.has, WRITTEN);

  const early = new Stage();
  early.on.volumes.set(KEY, capacityBytes);
  // The name was not checked yet: it is another's.
  assert.equal(await early.again(), "INTERRUPTED");
  assert.equal(early.has, capacityBytes);
  // Whether this operation made it is not known; it has data, or another size.
  early.allocatedBytes = 4096;
  assert.equal(await early.again("check name"), "INTERRUPTED");
  assert.equal(early.has, capacityBytes);
  early.allocatedBytes = 0;
  early.on.volumes.set(KEY, 7);
  assert.equal(await early.again("check name"), "INTERRUPTED");
  assert.equal(early.has, 7);
  early.on.volumes.set(KEY, capacityBytes);
  assert.equal(await early.again("check name"), "INTERRUPTED");
  assert.equal(early.has, undefined);
});

test("the volume is the VM's tenant's, claimed with its memory, and no other VM's meanwhile", () => {
  const vm = { ...(new WorkStage([root]).table.get(WorkStage.id) ?? assert.fail()), tenant: "acme" };
  const request = { format: "elf", allowEncrypted: false } as const;
  const admit = (name: string, byTenant = true) =>
    dumpMemory.admit?.({ ...request, volume: { pool: "p", name } }, vm, { byTenant } as Admission) ??
    assert.fail();
  const intent = admit("crash");
  const made = { pool: "p", volume: "socle-volume-acme+crash.raw" };
  assert.deepEqual(dumpMemory.grows?.(intent, vm.id), {
    volumes: [{ ...made, capacityBytes }],
    diskBytes: 0,
  });
  const [disk] = dumpMemory.adds?.(intent).disks ?? [];
  assert.deepEqual([disk?.source, disk?.readOnly], [{ kind: "volume", volume: made }, false]);
  for (const name of ["../x", "socle-volume-evil+x", ""])
    assert.throws(() => admit(name), { reason: "SPEC_INVALID", message: /volume\.name/ });
  const file = { format: "elf", name: "web", allowEncrypted: false, directory: "/dumps" } as const;
  assert.deepEqual(dumpMemory.grows(file, vm.id), { volumes: [], diskBytes: 0 });
  assert.deepEqual(dumpMemory.adds?.(file), {});
});

test("a tenant's callers dump one VM at a time, and do not wait with the VM's lock", () => {
  const dumps = new MemoryDumps({} as LibvirtCalls, sleepingClock());
  const release = dumps.hold("acme");
  assert.throws(() => dumps.hold("acme"), { kind: "exhausted", reason: "QUEUE_FULL" });
  const other = dumps.hold("other");
  assert.throws(() => dumps.hold("third"), { reason: "QUEUE_FULL" });
  dumps.hold(undefined)();
  release();
  other();
  dumps.hold("acme")();
});
