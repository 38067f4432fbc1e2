import type { Clock } from "../../kernel/clock.ts";
import { aborted } from "../../kernel/concurrency/deadline.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import type { Service } from "../../kernel/lifecycle/service.ts";
import type { Logger } from "../../kernel/log.ts";
import type { NewEvent } from "../../state/events/event.ts";
import { isDone, type Operation } from "../../state/operations/operation.ts";
import type { Operations } from "../../state/operations/operations.ts";
import type { DomainBackups } from "../hypervisor/domain-backups.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import { mostScratchBytes, type OpenBackup } from "../model/backups.ts";
import type { Vm } from "../model/vm.ts";
import type { VmTable } from "../observation/vm-table.ts";
import type { VolumeRoom } from "../storage/volume-room.ts";
import type { BackupLeases } from "./backup-leases.ts";

/** Why a backup is abandoned. */
export type AbandonCause =
  | "LEASE_EXPIRED"
  | "SCRATCH_FULL"
  | "POOL_NEARLY_FULL"
  | "QEMU_GONE"
  /** Its begin or its end left something. */
  | "NOT_ENDED";

export interface BackupWatchOptions {
  readonly table: Pick<VmTable, "all" | "get" | "untilComplete" | "subscribe">;
  readonly operations: Pick<Operations, "admittedFor" | "refusal" | "untilPermitted">;
  /** Ends the backup without success, by an operation. Resolves with the operation's end. */
  readonly abandon: (
    vm: Vm,
    backup: OpenBackup,
    cause: AbandonCause,
    signal: AbortSignal,
  ) => Promise<Operation>;
  readonly backups: Pick<DomainBackups, "isOpen" | "end">;
  /** A guest that its ended backup starved goes on. Returns whether one did. */
  readonly resumeStarved: (vmId: string, backup: OpenBackup) => Promise<boolean>;
  readonly leases: BackupLeases;
  readonly volumes: Pick<VolumeRoom, "allocatedBytes" | "freeBytes">;
  /** The bytes of all scratch volumes of a VM, for readers. */
  readonly scratchUsed: Map<string, number>;
  readonly publish: (event: NewEvent) => void;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Only while a backup is open. */
const LOOK_EVERY_MS = 2000;
/** A refresh of a pool reads all its volumes. */
const LOOK_AT_POOL_EVERY_MS = 10_000;
const RETRY_AFTER_MS = 10_000;
/** Each end that failed is an operation in the journal and an entry in the audit log. */
const LONGEST_RETRY_MS = 600_000;
/** A pool without room pauses the guests that write to it: its reserve is for what they write until the next looks. */
const LEAST_FREE_BYTES = 512 * 2 ** 20;
const LOOKS_IN_RESERVE = 4;
/** A scratch volume that grows more between two looks: its pool is looked at each time. */
const FAST_BYTES = 64 * 2 ** 20;

/** Why the watch began to end a backup, which may take several tries. */
interface Beginning {
  readonly backup: string;
  readonly cause: AbandonCause;
  /** The guest went on before the end. */
  readonly resumed: boolean;
}

interface Failure {
  readonly backup: string;
  readonly reason: string;
  readonly retryAtMs: number;
  readonly delayMs: number;
}

/**
 * Abandons open backups whose reader is gone, whose scratch volumes outgrow their bound or their pool, or whose QEMU has
 * ended. The guest never waits for a reader.
 */
export class BackupWatch implements Service {
  readonly name = "backup-watch";
  readonly #options: BackupWatchOptions;
  /** By VM: no other look meanwhile. */
  readonly #busy = new Set<string>();
  /** By VM: looks that failed. */
  readonly #retryAtMs = new Map<string, number>();
  /** By VM: ends that failed. */
  readonly #failed = new Map<string, Failure>();
  /** By VM. */
  readonly #begun = new Map<string, Beginning>();
  /** By VM: when its scratch volumes had the bytes of `scratchUsed`. */
  readonly #usedAtMs = new Map<string, number>();
  readonly #pools = new Map<string, { readonly atMs: number; readonly freeBytes: number | undefined }>();
  #abandoned = 0;
  #wake: () => void = () => undefined;

  constructor(options: BackupWatchOptions) {
    this.#options = options;
  }

  /** Since the agent's start. */
  get abandoned(): number {
    return this.#abandoned;
  }

  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    const { table, operations, clock } = this.#options;
    const changes = table.subscribe(signal);
    ready();
    try {
      await table.untilComplete(signal);
      await operations.untilPermitted(signal);
    } catch {
      await aborted(signal);
      return;
    }
    const follow = async (): Promise<void> => {
      for await (const change of changes) {
        const vm = change.kind === "item" && change.value.kind !== "resync" ? change.value.vm : undefined;
        if (change.kind === "item" && change.value.kind === "removed") this.#forget(change.value.vm.id);
        if (vm !== undefined && vm.backups?.open === undefined) this.#forget(vm.id);
        else this.#wake();
      }
    };
    const look = async (): Promise<void> => {
      while (!signal.aborted) {
        const open = this.#open();
        for (const vm of open) void this.#look(vm, signal);
        const woken = new Promise<void>((resolve) => (this.#wake = resolve));
        if (open.length === 0) await Promise.race([woken, aborted(signal)]);
        else await clock.sleep(LOOK_EVERY_MS, signal).catch(() => undefined);
      }
    };
    await Promise.all([follow(), look()]);
  }

  #open(): Vm[] {
    return this.#options.table.all().filter(({ backups }) => backups?.open !== undefined);
  }

  /** Never rejects. */
  async #look(vm: Vm, signal: AbortSignal): Promise<void> {
    const { operations, leases, clock, log } = this.#options;
    const open = vm.backups?.open;
    if (open === undefined || this.#busy.has(vm.id) || operations.refusal !== undefined) return;
    if (clock.monotonicMs() < (this.#retryAtMs.get(vm.id) ?? -Infinity)) return;
    this.#busy.add(vm.id);
    try {
      await leases.follow(vm.id, open);
      const cause = await this.#causeOf(vm, open);
      if (cause !== undefined) await this.#abandon(vm, open, this.#begins(vm.id, open, cause), signal);
      this.#retryAtMs.delete(vm.id);
    } catch (thrown) {
      if (signal.aborted) return;
      this.#retryAtMs.set(vm.id, clock.monotonicMs() + RETRY_AFTER_MS);
      log.warn({ vm: vm.id, backup: open.id, err: toSocleError(thrown) }, "a backup could not be watched");
    } finally {
      this.#busy.delete(vm.id);
    }
  }

  async #causeOf(vm: Vm, open: OpenBackup): Promise<AbandonCause | undefined> {
    const { operations, backups, leases, clock } = this.#options;
    // The end of a backup waits for a QEMU that answers: until then nothing holds a forced stop.
    if (vm.presence !== "present" || vm.stats?.unresponsive === true) return undefined;
    // Its operation goes on, or decides it; or its end failed a moment ago.
    const waits = clock.monotonicMs() < (this.#failureOf(vm.id, open)?.retryAtMs ?? -Infinity);
    if (waits || operations.admittedFor(vm.id).some((each) => !isDone(each))) {
      // The job must not outgrow its room meanwhile. The watch ends the rest afterwards.
      if (open.phase === "open" && isActive(vm)) await this.#endWithoutRoom(vm.id, open);
      return undefined;
    }
    if (open.phase !== "open") return "NOT_ENDED";
    if (!isActive(vm)) return "QEMU_GONE";
    if (leases.isOver(vm.id, open.id)) return "LEASE_EXPIRED";
    if (!(await backups.isOpen(vm.id, open.id))) return "QEMU_GONE";
    return await this.#roomOf(vm.id, open);
  }

  async #endWithoutRoom(vmId: string, open: OpenBackup): Promise<void> {
    const { backups, resumeStarved } = this.#options;
    const cause = await this.#roomOf(vmId, open);
    if (cause === undefined) return;
    await backups.end(vmId, open.id);
    const begun = this.#begins(vmId, open, cause);
    if (await resumeStarved(vmId, open)) this.#begun.set(vmId, { ...begun, resumed: true });
  }

  /** The first cause is the one: what a failed end leaves may show another. */
  #begins(vmId: string, { id }: Pick<OpenBackup, "id">, cause: AbandonCause): Beginning {
    const before = this.#begun.get(vmId);
    if (before?.backup === id) return before;
    const begun = { backup: id, cause, resumed: false };
    this.#begun.set(vmId, begun);
    return begun;
  }

  async #roomOf(vmId: string, open: OpenBackup): Promise<AbandonCause | undefined> {
    const { volumes, scratchUsed, clock } = this.#options;
    let sum = 0;
    const nowMs = clock.monotonicMs();
    // At the first look of this agent, nothing is known of the growth. A look may come late.
    const before = scratchUsed.get(vmId) ?? Infinity;
    const looks = Math.max(1, (nowMs - (this.#usedAtMs.get(vmId) ?? nowMs)) / LOOK_EVERY_MS);
    for (const { pool, scratch: volume, capacityBytes } of open.disks) {
      const used = (await volumes.allocatedBytes({ pool, volume })) ?? 0;
      sum += used;
      // One of the disk's size has its tables beside the bytes.
      if (open.scratchBytes !== 0 && used > mostScratchBytes(open, capacityBytes)) return "SCRATCH_FULL";
      const grownBytes = Math.max(0, sum - before) / looks;
      const leastBytes = Math.max(LEAST_FREE_BYTES, LOOKS_IN_RESERVE * grownBytes);
      const isShort = async (knownForMs: number): Promise<boolean> =>
        ((await this.#freeOf(pool, knownForMs)) ?? Infinity) < leastBytes;
      // What is known may be older than the backup.
      if ((await isShort(grownBytes > FAST_BYTES ? 0 : LOOK_AT_POOL_EVERY_MS)) && (await isShort(0)))
        return "POOL_NEARLY_FULL";
    }
    // The backup may have ended meanwhile.
    if (this.#options.table.get(vmId)?.backups?.open?.id === open.id) {
      scratchUsed.set(vmId, sum);
      this.#usedAtMs.set(vmId, nowMs);
    }
    return undefined;
  }

  #forget(vmId: string): void {
    this.#options.leases.forget(vmId);
    this.#options.scratchUsed.delete(vmId);
    this.#retryAtMs.delete(vmId);
    this.#failed.delete(vmId);
    this.#begun.delete(vmId);
    this.#usedAtMs.delete(vmId);
  }

  #failureOf(vmId: string, { id }: Pick<OpenBackup, "id">): Failure | undefined {
    const failure = this.#failed.get(vmId);
    return failure?.backup === id ? failure : undefined;
  }

  async #freeOf(pool: string, knownForMs: number): Promise<number | undefined> {
    const { volumes, clock } = this.#options;
    const now = clock.monotonicMs();
    const known = this.#pools.get(pool);
    if (known !== undefined && now - known.atMs < knownForMs) return known.freeBytes;
    const freeBytes = await volumes.freeBytes(pool);
    this.#pools.set(pool, { atMs: now, freeBytes });
    return freeBytes;
  }

  async #abandon(
    vm: Vm,
    open: OpenBackup,
    { cause, resumed }: Beginning,
    signal: AbortSignal,
  ): Promise<void> {
    const { abandon, publish, log } = this.#options;
    const about = { vm: vm.id, name: vm.name, backup: open.id, cause };
    if (this.#failureOf(vm.id, open) === undefined) log.warn(about, "a backup is abandoned");
    let end: Operation;
    try {
      end = await abandon(vm, open, cause, signal);
    } catch (thrown) {
      if (!signal.aborted) this.#fails(vm, open, toSocleError(thrown));
      return;
    }
    if (end.state !== "succeeded") {
      const { reason = "NOT_ENDED", message = `it is ${end.state}` } = end.error ?? {};
      this.#fails(vm, open, new SocleError("internal", reason, `operation ${end.id}: ${message}`));
      return;
    }
    this.#forget(vm.id);
    // Its reader may have ended it with success meanwhile.
    if (cause === "NOT_ENDED" || vm.backups?.whole?.id === open.id) return;
    this.#abandoned += 1;
    publish({
      kind: "vm_backup_abandoned",
      vmId: vm.id,
      vmName: vm.name,
      vmState: vm.state,
      reason: cause,
      details: {
        backup: open.id,
        operation: end.id,
        ...(resumed || end.result["resumed"] === "true" ? { resumed: "true" } : {}),
      },
    });
  }

  /** One line for each reason: the end is tried again, later each time. */
  #fails(vm: Vm, open: OpenBackup, error: SocleError): void {
    const { clock, log } = this.#options;
    const before = this.#failureOf(vm.id, open);
    const delayMs = before === undefined ? RETRY_AFTER_MS : Math.min(2 * before.delayMs, LONGEST_RETRY_MS);
    const retryAtMs = clock.monotonicMs() + delayMs;
    this.#failed.set(vm.id, { backup: open.id, reason: error.reason, retryAtMs, delayMs });
    if (before?.reason === error.reason) return;
    log.warn(
      { vm: vm.id, name: vm.name, backup: open.id, err: error },
      "a backup could not be ended: the agent tries it again, later each time",
    );
  }
}
