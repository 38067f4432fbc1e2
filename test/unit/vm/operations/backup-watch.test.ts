import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import type { Logger } from "../../../../agent/kernel/log.ts";
import type { Operation } from "../../../../agent/state/operations/operation.ts";
import type { OpenBackup } from "../../../../agent/vm/model/backups.ts";
import type { Vm, VmState, VmStats } from "../../../../agent/vm/model/vm.ts";
import { withEtag } from "../../../../agent/vm/observation/vm-from-domain.ts";
import { BackupLeases } from "../../../../agent/vm/operations/backup-leases.ts";
import { BackupWatch, type BackupWatchOptions } from "../../../../agent/vm/operations/backup-watch.ts";
import { failed, OwnStartsStage } from "../../../support/vm/own-starts-stage.ts";

const ID = "0123456789abcdef";
const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** A watch over one VM with an open backup of a disk of 64 GiB. */
class Stage extends OwnStartsStage {
  readonly scratchUsed = new Map<string, number>();
  readonly warnings: string[] = [];
  /** How each backup was abandoned, and when. */
  readonly abandoned: string[] = [];
  readonly abandonedAtMs: number[] = [];
  /** The jobs that the watch ended without an operation. */
  readonly ended: string[] = [];
  /** The VMs whose guests the watch looked at after that: whether they wait for space. */
  readonly resumed: string[] = [];
  isStarved = false;
  isJobOpen = true;
  usedBytes = 0;
  freeBytes: number | undefined = 100 * GIB;
  looksAtPool = 0;
  onLook: () => void = () => undefined;
  refusal: SocleError | undefined;
  /** How the operation that ends the backup ends. */
  outcome: () => Partial<Operation> = () => ({});

  putBackup(changes: Partial<Vm> = {}, open: Partial<OpenBackup> = {}): Vm {
    const base = this.put("web", changes.state ?? "running");
    const backup: OpenBackup = {
      id: ID,
      createdAtMs: 0,
      disks: [
        {
          disk: "root",
          capacityBytes: 64 * GIB,
          device: "vda",
          pool: "images",
          scratch: `scratch-of-${base.id}`,
        },
      ],
      leaseMs: 600_000,
      scratchBytes: 0,
      phase: "open",
      ...open,
    };
    const vm = withEtag({ ...base, backups: { open: backup, stale: [] }, ...changes });
    this.table.put(vm);
    return vm;
  }

  /** Runs the watch until the test ends. */
  async begin(t: TestContext): Promise<BackupWatch> {
    const { table, clock, publish, scratchUsed } = this;
    const log = { warn: (_about: object, text: string) => void this.warnings.push(text) } as Logger;
    const backups = { leaseUntil: () => Promise.resolve(undefined), setLease: () => Promise.resolve() };
    const options: BackupWatchOptions = {
      table,
      operations: Object.defineProperty({ ...this.operations, refusal: undefined }, "refusal", {
        get: () => this.refusal,
      }),
      abandon: (vm, _open, cause) => {
        this.abandoned.push(cause);
        this.abandonedAtMs.push(clock.monotonicMs());
        const end = this.add(vm.name, "FINISH_BACKUP", { caller: "agent", ...this.outcome() });
        if (end.state === "succeeded") this.put(vm.name, vm.state);
        return Promise.resolve(end);
      },
      backups: {
        isOpen: () => Promise.resolve(this.isJobOpen),
        end: (_vm, id) => {
          this.isJobOpen = false;
          return Promise.resolve(void this.ended.push(id));
        },
      },
      resumeStarved: (id) => {
        if (!this.isStarved || this.isJobOpen) return Promise.resolve(false);
        this.isStarved = false;
        return Promise.resolve(this.resumed.push(id) > 0);
      },
      leases: new BackupLeases({ backups, refusal: () => this.refusal, clock, log }),
      volumes: {
        allocatedBytes: () => Promise.resolve(this.usedBytes),
        freeBytes: () => {
          this.looksAtPool += 1;
          const free = this.freeBytes;
          this.onLook();
          return Promise.resolve(free);
        },
      },
      scratchUsed,
      publish,
      clock,
      log,
    };
    const watch = new BackupWatch(options);
    const end = new AbortController();
    const run = watch.run(end.signal, () => undefined);
    t.after(async () => {
      end.abort();
      await run;
    });
    table.completed(1);
    await this.turns();
    return watch;
  }
}

const eventsOf = ({ events }: Stage) => events.map(({ kind, reason }) => [kind, reason]);

test("a backup whose reader is gone is abandoned when its lease expires, once", async (t) => {
  const stage = new Stage();
  stage.putBackup();
  const watch = await stage.begin(t);
  for (let looks = 0; looks < 299; looks += 1) await stage.advance(2000);
  assert.deepEqual(stage.abandoned, []);
  await stage.advance(2000);
  assert.deepEqual(stage.abandoned, ["LEASE_EXPIRED"]);
  assert.deepEqual(eventsOf(stage), [["vm_backup_abandoned", "LEASE_EXPIRED"]]);
  assert.equal(watch.abandoned, 1);
  for (let looks = 0; looks < 10; looks += 1) await stage.advance(2000);
  assert.equal(stage.abandoned.length, 1);
});

test("a backup is abandoned when its QEMU or its job is gone, and one that a crash left half ended is ended", async (t) => {
  for (const [state, isJobOpen, phase, cause] of [
    ["stopped", false, "open", "QEMU_GONE"],
    ["running", false, "open", "QEMU_GONE"],
    ["running", true, "ending", "NOT_ENDED"],
  ] as const) {
    const stage = new Stage();
    stage.isJobOpen = isJobOpen;
    stage.putBackup({ state }, { phase });
    await stage.begin(t);
    assert.deepEqual(stage.abandoned, [cause]);
  }
});

test("a backup ends while its pool still has room for what the guest writes until the next looks", async (t) => {
  for (const [free, grown, cause] of [
    [600 * MIB, 0, []],
    [500 * MIB, 0, ["POOL_NEARLY_FULL"]],
    // The scratch volume grows by 1 GiB between two looks: a pool with 3 GiB lasts for three of them.
    [5 * GIB, GIB, []],
    [3 * GIB, GIB, ["POOL_NEARLY_FULL"]],
    [undefined, GIB, []],
  ] as const) {
    const stage = new Stage();
    stage.putBackup();
    await stage.begin(t);
    stage.freeBytes = free;
    stage.usedBytes = grown;
    // A pool is looked at again after 10 s, or at once if it fills fast.
    await stage.advance(grown > 0 ? 2000 : 10_000);
    assert.deepEqual(stage.abandoned, cause, `${free} free, ${grown} grown`);
  }
});

test("a backup is not abandoned for what its pool lacked before it began", async (t) => {
  const stage = new Stage();
  stage.putBackup();
  stage.freeBytes = 600 * MIB;
  await stage.begin(t);
  stage.usedBytes = 150 * MIB;
  stage.freeBytes = 550 * MIB;
  // It is looked at, and has less than four looks need.
  const looks = stage.looksAtPool;
  stage.onLook = () => (stage.freeBytes = 100 * GIB);
  await stage.advance(2000);
  assert.equal(stage.looksAtPool, looks + 2);
  assert.deepEqual(stage.abandoned, []);
});

test("what a scratch volume holds at the first look, or grew before a late one, is no growth of one look", async (t) => {
  const stage = new Stage();
  stage.usedBytes = 8 * GIB;
  stage.freeBytes = 10 * GIB;
  stage.putBackup();
  await stage.begin(t);
  assert.deepEqual(stage.abandoned, [], "a new agent finds 8 GiB");
  // The VM is not seen for 20 s: 400 MiB for each look.
  stage.putBackup({ presence: "unknown" });
  for (let looks = 0; looks < 9; looks += 1) await stage.advance(2000);
  stage.usedBytes += 4000 * MIB;
  stage.putBackup();
  await stage.advance(2000);
  assert.equal(stage.scratchUsed.size, 1);
  assert.deepEqual(stage.abandoned, []);
  stage.usedBytes += 4000 * MIB;
  await stage.advance(2000);
  assert.deepEqual(stage.abandoned, ["POOL_NEARLY_FULL"]);
});

test("a pool is read every 10 s, and at each look while a scratch volume grows fast", async (t) => {
  const stage = new Stage();
  stage.putBackup();
  await stage.begin(t);
  for (let looks = 1; looks < 5; looks += 1) {
    stage.usedBytes += MIB;
    await stage.advance(2000);
  }
  assert.equal(stage.looksAtPool, 1);
  for (let looks = 0; looks < 3; looks += 1) {
    stage.usedBytes += 100 * MIB;
    await stage.advance(2000);
  }
  assert.equal(stage.looksAtPool, 4);
});

test("a scratch volume at its bound ends the backup, and one of the disk's size has its tables beside", async (t) => {
  for (const [scratchBytes, cause] of [
    [GIB, ["SCRATCH_FULL"]],
    [0, []],
  ] as const) {
    const stage = new Stage();
    stage.freeBytes = 1000 * GIB;
    stage.usedBytes = 65 * GIB;
    stage.putBackup({}, { scratchBytes });
    await stage.begin(t);
    assert.deepEqual(stage.abandoned, cause);
  }
});

test("while another operation holds the VM the job alone ends when room is short, and the rest afterwards", async (t) => {
  const stage = new Stage();
  const other = stage.add("web", "RESIZE_DISK", { state: "running" });
  const { id } = stage.putBackup();
  await stage.begin(t);
  await stage.advance(2000);
  assert.deepEqual(stage.ended, []);
  stage.freeBytes = 100 * MIB;
  stage.isStarved = true;
  await stage.advance(10_000);
  assert.deepEqual([stage.ended, stage.resumed], [[ID], [id]], "the guest does not wait for the operation");
  assert.deepEqual(stage.abandoned, []);
  stage.end(other, "succeeded");
  await stage.advance(2000);
  // The job is gone by now, but for this reason.
  assert.deepEqual(stage.abandoned, ["POOL_NEARLY_FULL"]);
  assert.deepEqual(eventsOf(stage), [["vm_backup_abandoned", "POOL_NEARLY_FULL"]]);
  assert.equal(stage.events[0]?.details?.["resumed"], "true");
});

test("nothing ends while the QEMU does not answer or the VM is unknown: no operation may hold it", async (t) => {
  const hung = { unresponsive: true } as VmStats;
  const stats = { unresponsive: false } as VmStats;
  for (const changes of [{ stats: hung }, { presence: "unknown" as const }]) {
    const stage = new Stage();
    stage.freeBytes = 0;
    stage.putBackup(changes);
    await stage.begin(t);
    await stage.advance(1_000_000);
    assert.deepEqual(stage.abandoned, []);
    stage.putBackup({ stats });
    await stage.advance(2000);
    assert.equal(stage.abandoned.length, 1);
  }
});

test("an end that fails is tried again, later each time, with one line for each reason", async (t) => {
  const stage = new Stage();
  stage.isJobOpen = false;
  stage.outcome = () => failed("unavailable", "GUEST_UNRESPONSIVE");
  stage.putBackup();
  await stage.begin(t);
  for (let looks = 0; looks < 1800; looks += 1) await stage.advance(2000);
  const delays = stage.abandonedAtMs.slice(1).map((atMs, at) => atMs - (stage.abandonedAtMs[at] ?? 0));
  assert.deepEqual(delays, [
    10_000,
    20_000,
    40_000,
    80_000,
    160_000,
    320_000,
    ...Array<number>(4).fill(600_000),
  ]);
  assert.equal(stage.warnings.length, 2, stage.warnings.join());
  stage.outcome = () => failed("internal", "LIBVIRT_INTERNAL_ERROR");
  for (let looks = 0; looks < 300; looks += 1) await stage.advance(2000);
  assert.equal(stage.warnings.length, 3, stage.warnings.join());
  stage.outcome = () => ({});
  for (let looks = 0; looks < 300; looks += 1) await stage.advance(2000);
  // By now its lease has expired as well.
  assert.deepEqual(eventsOf(stage), [["vm_backup_abandoned", "QEMU_GONE"]]);

  // The next backup begins without that.
  stage.outcome = () => failed("unavailable", "GUEST_UNRESPONSIVE");
  const tries = stage.abandoned.length;
  stage.putBackup({}, { id: "fedcba9876543210" });
  await stage.advance(2000);
  await stage.advance(10_000);
  assert.equal(stage.abandoned.length - tries, 2);
});

test("while a failed end waits, the job still ends when room is short", async (t) => {
  const stage = new Stage();
  stage.outcome = () => failed("unavailable", "GUEST_UNRESPONSIVE");
  stage.usedBytes = 2 * GIB;
  stage.isStarved = true;
  const { id } = stage.putBackup({}, { scratchBytes: GIB });
  await stage.begin(t);
  assert.deepEqual([stage.abandoned, stage.ended], [["SCRATCH_FULL"], []]);
  await stage.advance(2000);
  assert.deepEqual([stage.abandoned, stage.ended, stage.resumed], [["SCRATCH_FULL"], [ID], [id]]);
});

test("an agent that may change nothing ends no backup", async (t) => {
  const stage = new Stage();
  stage.isJobOpen = false;
  stage.refusal = new SocleError("unavailable", "HYPERVISOR_LEASE_LOST", "another agent has it");
  stage.putBackup();
  await stage.begin(t);
  await stage.advance(10_000);
  assert.deepEqual(stage.abandoned, []);
  stage.refusal = undefined;
  await stage.advance(2000);
  assert.deepEqual(stage.abandoned, ["QEMU_GONE"]);
});

test("the bytes of a scratch volume are shown only while its backup is open, also if its reader ends it", async (t) => {
  const stage = new Stage();
  stage.usedBytes = 7 * MIB;
  const { id } = stage.putBackup();
  await stage.begin(t);
  assert.equal(stage.scratchUsed.get(id), 7 * MIB);
  const states: VmState[] = ["running", "stopped"];
  for (const state of states) {
    stage.put("web", state);
    await stage.turns();
    assert.equal(stage.scratchUsed.get(id), undefined);
  }
});
