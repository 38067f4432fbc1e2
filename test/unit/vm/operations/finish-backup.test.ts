import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { silentLog } from "../../../../agent/kernel/log.ts";
import { backupsOf, backupsText, type Backups, type OpenBackup } from "../../../../agent/vm/model/backups.ts";
import { checkSpec } from "../../../../agent/vm/model/spec-check.ts";
import { storedText } from "../../../../agent/vm/model/stored-spec.ts";
import type { VmMetadata } from "../../../../agent/vm/model/vm-domain.ts";
import { finishBackup } from "../../../../agent/vm/operations/finish-backup.ts";
import type { RunContext, WorkRun } from "../../../../agent/vm/operations/work.ts";
import { steps } from "../../../support/vm/steps.ts";

const ID = "6f1c2f1e-0000-4000-8000-000000000001";
const BACKUP = "0123456789abcdef";
const spec = checkSpec(
  {
    ...{ name: "web", id: ID, vcpus: 1, memoryBytes: 2 ** 25 },
    disks: [{ name: "root", source: { kind: "new", pool: "images", capacityBytes: 2 ** 20 } }],
  },
  { bridges: [], allowSpoofing: false },
);
const open: OpenBackup = {
  ...{ id: BACKUP, createdAtMs: 0, leaseMs: 600_000, scratchBytes: 0, phase: "open" },
  disks: [
    {
      ...{ disk: "root", capacityBytes: 2 ** 20, device: "vda", pool: "images" },
      scratch: `socle-${ID}-root.backup-${BACKUP}.qcow2`,
    },
  ],
};

interface Guest {
  readonly state: "running" | "paused" | "stopped";
  readonly stateReason: string;
  /** The devices whose writes wait for space. */
  readonly starved?: readonly string[];
  readonly hangs?: boolean;
  /** The pool deletes no volume. */
  readonly keepsVolumes?: boolean;
  /** The reader has the backup whole. */
  readonly isRead?: boolean;
}

/** Ends the open backup of a VM in this state; returns the end and the effects. */
async function finish(guest: Guest, more: Partial<OpenBackup> = {}, stale: readonly string[] = []) {
  const effects: string[] = [];
  const stored: Backups = { open: { ...open, ...more }, stale };
  let socle: VmMetadata = {
    ...{ tenant: "", labels: {}, placementEpoch: 0, createdAt: "2026-01-01T00:00:00Z", instance: ID },
    ...storedText(spec),
    backups: backupsText(stored) ?? "",
  };
  let isJobOpen = true;
  const hung = new SocleError("unavailable", "GUEST_UNRESPONSIVE", "it does not answer");
  const context = {
    table: { get: () => undefined, until: () => Promise.resolve() },
    log: silentLog,
    socketDirectory: "/nonexistent",
    volumes: {
      remove: ({ volume }: { volume: string }) =>
        guest.keepsVolumes === true
          ? Promise.reject(new SocleError("internal", "LIBVIRT_INTERNAL_ERROR", "the pool refuses"))
          : Promise.resolve(void effects.push(`remove ${volume}`)),
    },
    domains: {
      state: () => Promise.resolve(guest),
      document: () => Promise.resolve({ name: "web", metadata: { socle } }),
      setMetadata: (_id: string, now: VmMetadata) => Promise.resolve(void (socle = now)),
      stamps: { begin: () => Promise.resolve(), complete: () => Promise.resolve() },
      devices: { requireResponsive: () => (guest.hangs === true ? Promise.reject(hung) : Promise.resolve()) },
      resume: () => Promise.resolve(void effects.push("resume")),
      destroy: () => Promise.resolve(void effects.push("destroy")),
      backups: {
        isOpen: () => Promise.resolve(isJobOpen),
        end: () => {
          isJobOpen = false;
          return Promise.resolve(void effects.push("end job"));
        },
        forget: () => Promise.resolve(void effects.push("delete bitmaps")).then(() => []),
        withoutSpace: () => Promise.resolve(new Set(guest.starved)),
      },
    },
  } as unknown as RunContext;
  const run: WorkRun = {
    operationId: "01J000000000000000000000AB",
    ...{ vmId: ID, caller: "caller", instance: ID, createdAtMs: 0 },
    step: steps(),
    signal: new AbortController().signal,
    hasEnded: () => false,
    resumed: false,
    done: new Set(),
  };
  const end = await finishBackup
    .run(context, { id: BACKUP, success: guest.isRead === true }, run)
    .catch((thrown: unknown) => thrown as SocleError);
  const left = socle.backups === undefined ? undefined : backupsOf(ID, socle.backups).open?.phase;
  return { end, effects, left };
}

const removed = `remove ${open.disks[0]?.scratch ?? ""}`;

test("a backup is not ended while its QEMU does not answer: nothing is done, and the VM can be stopped", async () => {
  const { end, effects, left } = await finish({ state: "running", stateReason: "BOOTED", hangs: true });
  assert.equal((end as SocleError).reason, "GUEST_UNRESPONSIVE");
  assert.deepEqual([effects, left], [[], "open"]);
});

test("a guest that waits for the space of its backup goes on when that has ended, and no other paused guest", async () => {
  const starved = await finish({ state: "paused", stateReason: "IOERROR", starved: ["vda"] });
  assert.deepEqual(starved.effects, ["end job", removed, "resume"]);
  assert.deepEqual(starved.end, { backup_id: BACKUP, success: "false", resumed: "true" });
  assert.equal(starved.left, undefined);
  for (const guest of [
    { state: "running", stateReason: "BOOTED" },
    { state: "paused", stateReason: "USER", starved: ["vda"] },
    // A disk outside of the backup, or another error.
    { state: "paused", stateReason: "IOERROR", starved: ["vdb"] },
    { state: "paused", stateReason: "IOERROR" },
  ] as const) {
    const { effects, left } = await finish(guest);
    assert.deepEqual([effects, left], [["end job", removed], undefined], JSON.stringify(guest));
  }
});

test("a guest goes on although a pool refuses to delete its scratch volume", async () => {
  const starved = { state: "paused", stateReason: "IOERROR", starved: ["vda"] } as const;
  const { end, effects, left } = await finish({ ...starved, keepsVolumes: true });
  assert.equal((end as SocleError).reason, "LIBVIRT_INTERNAL_ERROR");
  assert.deepEqual([effects, left], [["end job", "resume"], "ending"]);
});

test("a backup that is whole has succeeded, although a pool refuses to delete its scratch volume", async () => {
  const guest = { state: "running", stateReason: "BOOTED", keepsVolumes: true, isRead: true } as const;
  const { end, effects, left } = await finish(guest);
  assert.deepEqual(end, { backup_id: BACKUP, success: "true" });
  assert.deepEqual([effects, left], [["end job"], "ending"], "the watch of backups ends the rest");
});

test("a guest that waited for space before its backup began stays paused", async () => {
  const starved = { state: "paused", stateReason: "IOERROR", starved: ["vda"] } as const;
  const { effects, left } = await finish(starved, { wasPaused: true });
  assert.deepEqual([effects, left], [["end job", removed], undefined]);
});

test("the room of the scratch volumes is free before old bitmaps are deleted, which needs some", async () => {
  const guest = { state: "running", stateReason: "BOOTED" } as const;
  const { effects } = await finish(guest, {}, ["fedcba9876543210"]);
  assert.deepEqual(effects, ["end job", removed, "delete bitmaps"]);
});

test("the QEMU of a VM that was off ends with its backup, unless a guest runs in it that an event paused", async () => {
  const idle = await finish({ state: "paused", stateReason: "STARTING_UP" }, { off: true });
  assert.deepEqual(idle.effects, ["end job", removed, "destroy"]);
  const watchdog = await finish({ state: "paused", stateReason: "WATCHDOG" }, { off: true });
  assert.deepEqual(watchdog.effects, ["end job", removed]);
});
