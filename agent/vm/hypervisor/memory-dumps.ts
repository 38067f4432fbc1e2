import type { Clock } from "../../kernel/clock.ts";
import { Semaphore } from "../../kernel/concurrency/semaphore.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import * as libvirt from "../../libvirt/index.ts";
import type { JobProgress } from "./block-jobs.ts";
import { Certainty, type LibvirtCalls } from "./certainty.ts";
import { memoryTransfer } from "./saved-states.ts";
import { AHEAD, reference } from "./stamps.ts";

const LOOK_EVERY_MS = 500;
/** Half of what libvirt does at once of calls that take long: other tenants' snapshots and moves need the rest. */
const TENANTS_AT_ONCE = 2;

export const dumpFormats = {
  elf: libvirt.DomainCoreDumpFormat.RAW,
  "kdump-zlib": libvirt.DomainCoreDumpFormat.KDUMP_ZLIB,
} as const;
export type DumpFormat = keyof typeof dumpFormats;

interface Dump {
  /** If there is no such file, libvirt creates it with mode 0600; else it keeps its owner and mode. */
  readonly path: string;
  readonly format: DumpFormat;
  readonly memoryBytes: number;
  readonly report: (job: JobProgress) => void;
}

/** Dumps of the memory of running guests, which stand still meanwhile. libvirt does not abort them. */
export class MemoryDumps {
  readonly #libvirt: LibvirtCalls;
  readonly #clock: Clock;
  readonly #certainty: Certainty;
  readonly #ofTenants = new Semaphore(TENANTS_AT_ONCE);

  constructor(calls: LibvirtCalls, clock: Clock) {
    this.#libvirt = calls;
    this.#clock = clock;
    this.#certainty = new Certainty(calls, clock);
  }

  /**
   * A place for a dump by a tenant's caller, until the returned function is called: one for each tenant. It does not wait, since
   * the VM's stop would wait with it. Throws `exhausted` QUEUE_FULL. `tenant` undefined: the provider, who has no bound.
   */
  hold(tenant: string | undefined): () => void {
    if (tenant === undefined) return () => undefined;
    const release = this.#ofTenants.tryAcquire(tenant);
    if (release !== undefined) return release;
    const message = "other dumps of memory are being written: dump this VM's once they have ended";
    throw new SocleError("exhausted", "QUEUE_FULL", message, { details: { retryAfterMs: 30_000 } });
  }

  /**
   * Writes the guest's memory into a file, which libvirt creates, or overwrites. A lost reply does not show whether the file is
   * whole: throws `unavailable` EFFECT_NOT_OBSERVED once libvirt does not write any more, `outcome_unknown` while it does, and
   * libvirt's refusals.
   */
  async write(id: string, { path, format, memoryBytes, report }: Dump): Promise<void> {
    const flags = libvirt.DomainCoreDumpFlags.MEMORY_ONLY;
    const args = { dom: reference(id), to: path, dumpformat: dumpFormats[format], flags };
    const dump = (): Promise<unknown> =>
      this.#libvirt.call(libvirt.domainCoreDumpWithFormat, args, memoryTransfer(memoryBytes));
    const isWritten = async (): Promise<boolean | undefined> =>
      (await this.isUnderWay(id)) ? undefined : false;
    const ended = new AbortController();
    const watching = this.#watch(id, report, ended.signal);
    try {
      await this.#certainty.ensure(dump, isWritten, "once");
    } finally {
      ended.abort();
      await watching;
    }
  }

  /** Whether libvirt writes the domain's memory. */
  async isUnderWay(id: string): Promise<boolean> {
    return (await this.#job(id)) !== undefined;
  }

  async #watch(id: string, report: (job: JobProgress) => void, signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#clock.sleep(LOOK_EVERY_MS, signal).catch(() => undefined);
      if (signal.aborted) return;
      // Only for those who look on.
      const job = await this.#job(id).catch(() => undefined);
      if (job !== undefined && job.totalBytes > 0) report(job);
    }
  }

  async #job(id: string): Promise<JobProgress | undefined> {
    try {
      const job = await this.#libvirt.call(
        libvirt.domainGetJobStats,
        { dom: reference(id), flags: 0 },
        AHEAD,
      );
      const fields = new Map(job.params.map(({ field, value }) => [field, value.value]));
      if (fields.get(libvirt.VIR_DOMAIN_JOB_OPERATION) !== libvirt.DomainJobOperation.DUMP) return undefined;
      const bytes = (field: string): number => {
        const value = fields.get(field);
        return typeof value === "number" ? value : 0;
      };
      return {
        doneBytes: bytes(libvirt.VIR_DOMAIN_JOB_MEMORY_PROCESSED),
        totalBytes: bytes(libvirt.VIR_DOMAIN_JOB_MEMORY_TOTAL),
      };
    } catch (thrown) {
      const { kind, reason } = toSocleError(thrown);
      // It is off, or gone.
      if (kind === "conflict" || reason === "LIBVIRT_NO_DOMAIN") return undefined;
      throw thrown;
    }
  }
}
