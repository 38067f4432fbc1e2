import type { Clock } from "../../kernel/clock.ts";
import type { Logger } from "../../kernel/log.ts";
import { toSocleError, type SocleError } from "../../kernel/errors.ts";
import type { DomainBackups } from "../hypervisor/domain-backups.ts";
import type { OpenBackup } from "../model/backups.ts";

interface Lease {
  readonly id: string;
  readonly leaseMs: number;
  readonly endsAtMs: number;
  /** When the deadline was written last. */
  readonly writtenAtMs: number;
}

/** Reads renew a lease; its deadline is written at most this often, for the next agent. */
const WRITE_EVERY_MS = 60_000;

/** Until when open backups are kept without a renewal or a read, on the monotonic clock. */
export class BackupLeases {
  readonly #backups: Pick<DomainBackups, "leaseUntil" | "setLease">;
  readonly #refusal: () => SocleError | undefined;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** By VM. */
  readonly #leases = new Map<string, Lease>();

  constructor(options: {
    readonly backups: Pick<DomainBackups, "leaseUntil" | "setLease">;
    /** Why this agent may change nothing now. */
    readonly refusal: () => SocleError | undefined;
    readonly clock: Clock;
    readonly log: Logger;
  }) {
    this.#backups = options.backups;
    this.#refusal = options.refusal;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  /** Begins the lease of a backup that this agent has not seen before: anew, or as a reader renewed it with an earlier agent. */
  async follow(vmId: string, { id, leaseMs }: Pick<OpenBackup, "id" | "leaseMs">): Promise<void> {
    if (this.#leases.get(vmId)?.id === id) return;
    const now = this.#clock.monotonicMs();
    this.#leases.set(vmId, { id, leaseMs, endsAtMs: now + leaseMs, writtenAtMs: now });
    const untilMs = await this.#backups.leaseUntil(vmId).catch(() => undefined);
    if (untilMs === undefined) return;
    const lease = this.#leases.get(vmId);
    if (lease?.id !== id) return;
    const leftMs = Math.min(untilMs - this.#clock.now(), LONGEST_MS);
    this.#leases.set(vmId, { ...lease, endsAtMs: Math.max(lease.endsAtMs, now + leftMs) });
  }

  forget(vmId: string): void {
    this.#leases.delete(vmId);
  }

  /** Wall clock; undefined if the backup is not followed. */
  untilMs(vmId: string, id: string): number | undefined {
    const lease = this.#of(vmId, id);
    return lease === undefined ? undefined : this.#clock.now() + lease.endsAtMs - this.#clock.monotonicMs();
  }

  isOver(vmId: string, id: string): boolean {
    const lease = this.#of(vmId, id);
    return lease !== undefined && this.#clock.monotonicMs() >= lease.endsAtMs;
  }

  /** A read of the backup. */
  touch(vmId: string, id: string): void {
    const lease = this.#of(vmId, id);
    if (lease === undefined) return;
    const now = this.#clock.monotonicMs();
    const isDue = now - lease.writtenAtMs >= WRITE_EVERY_MS && this.#refusal() === undefined;
    const endsAtMs = Math.max(lease.endsAtMs, now + lease.leaseMs);
    this.#leases.set(vmId, { ...lease, endsAtMs, writtenAtMs: isDue ? now : lease.writtenAtMs });
    if (!isDue) return;
    this.#backups.setLease(vmId, this.#clock.now() + endsAtMs - now).catch((thrown: unknown) => {
      this.#log.warn({ vm: vmId, backup: id, err: toSocleError(thrown) }, "a lease could not be written");
    });
  }

  /** Never shortens a lease. Durable when it resolves; after an error the lease is as before. */
  async renew(vmId: string, id: string, leaseMs: number): Promise<void> {
    const refusal = this.#refusal();
    if (refusal !== undefined) throw refusal;
    const now = this.#clock.monotonicMs();
    const endsAtMs = Math.max(this.#of(vmId, id)?.endsAtMs ?? now, now + leaseMs);
    await this.#backups.setLease(vmId, this.#clock.now() + endsAtMs - now);
    this.#leases.set(vmId, { id, leaseMs, endsAtMs, writtenAtMs: this.#clock.monotonicMs() });
  }

  #of(vmId: string, id: string): Lease | undefined {
    const lease = this.#leases.get(vmId);
    return lease?.id === id ? lease : undefined;
  }
}

/** The wall clock may have been ahead. */
const LONGEST_MS = 86_400_000;
