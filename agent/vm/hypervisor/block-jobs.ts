import type { Clock } from "../../kernel/clock.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import * as libvirt from "../../libvirt/index.ts";
import type { LibvirtCalls } from "./certainty.ts";
import { reference } from "./stamps.ts";

/** How far a block job is. */
export interface JobProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export interface Watch {
  readonly report: (job: JobProgress) => void;
  /** Cancels the job, which leaves the disk as it was. */
  readonly aborted: AbortSignal;
}

/** A job of a running guest's disk. Its effect is proved by the domain's XML, since replies and events may be lost. */
export interface BlockJob {
  /** The disk's name in the spec. */
  readonly disk: string;
  /** Its name in the domain. */
  readonly device: string;
  readonly isDone: () => Promise<boolean>;
  /** `anew`: an earlier job was ended since the guest writes faster than it copies. */
  readonly begin: (anew: boolean) => Promise<void>;
  /** Whether the guest is to be switched now, which completes the job. */
  readonly isReady: () => Promise<boolean>;
  /** For a job that ended without its effect. */
  readonly failed: () => SocleError;
  /** The job can begin anew with a copy that keeps up with the guest. */
  readonly mayBeginAnew: boolean;
}

const POLL = { firstMs: 20, mostMs: 500 } as const;
/** A job that is at its end: libvirt may take a moment to report it as ready. */
const JOB_GONE_LOOKS = 3;
/** A job that moves no byte for so long does not go on by itself. */
export const STALLED_MS = 300_000;
/** The bytes that are left to copy did not fall below their least for so long: the guest writes as fast. */
export const BEHIND_MS = 30_000;

/** Follows the jobs of libvirt that copy the bytes of disks. */
export class BlockJobs {
  readonly #libvirt: LibvirtCalls;
  readonly #clock: Clock;

  constructor(calls: LibvirtCalls, clock: Clock) {
    this.#libvirt = calls;
    this.#clock = clock;
  }

  /**
   * Runs a job to its end; continues one that runs already. Throws what `failed` returns, `timeout` BLOCK_JOB_STALLED after
   * five minutes without progress, when the job was cancelled, and the reason of `aborted`.
   */
  async run(id: string, job: BlockJob, { report, aborted }: Watch): Promise<void> {
    const { device, isDone, isReady, begin, failed } = job;
    const pace = new Pace(() => this.#clock.monotonicMs());
    let begun = false;
    let waitMs: number = POLL.firstMs;
    let missing = 0;
    for (;;) {
      const isPivotable = await isReady();
      const progress = await this.progress(id, device);
      if (progress === undefined) {
        if (await isDone()) return;
        // A job that has just ended may not show in the XML yet.
        if (begun && (missing += 1) > JOB_GONE_LOOKS) throw failed();
        if (!begun) {
          aborted.throwIfAborted();
          await begin(pace.isAnew);
          begun = true;
          continue;
        }
      } else {
        begun = true;
        missing = 0;
        report(progress);
        if (aborted.aborted) {
          await this.end(id, device, 0);
          aborted.throwIfAborted();
        }
        const state = pace.of(progress);
        if (state === "stalled") {
          await this.end(id, device, 0);
          throw stalled(job);
        }
        if (isPivotable) {
          await this.end(id, device, libvirt.DomainBlockJobAbortFlags.PIVOT);
        } else if (state === "behind" && job.mayBeginAnew && pace.mayBeginAnew()) {
          await this.end(id, device, 0);
          begun = false;
          continue;
        }
      }
      await this.#clock.sleep(waitMs);
      waitMs = Math.min(2 * waitMs, POLL.mostMs);
    }
  }

  async progress(id: string, device: string): Promise<JobProgress | undefined> {
    const args = { dom: reference(id), path: device, flags: 0 };
    const { found, cur, end } = await this.#libvirt.call(libvirt.domainGetBlockJobInfo, args);
    return found ? { doneBytes: cur, totalBytes: end } : undefined;
  }

  /** A job may end meanwhile: what counts is the XML. */
  async end(id: string, device: string, flags: number): Promise<void> {
    try {
      await this.#libvirt.call(
        libvirt.domainBlockJobAbort,
        { dom: reference(id), path: device, flags },
        { lane: "slow" },
      );
    } catch (thrown) {
      const { kind, reason } = toSocleError(thrown);
      // Not ready yet, or over.
      if (kind !== "outcome_unknown" && !ENDED.has(reason)) throw thrown;
    }
  }
}

/** Whether a job makes progress, and whether it comes nearer to its end. */
class Pace {
  readonly #nowMs: () => number;
  #doneBytes: number | undefined;
  #movedAtMs = 0;
  #leastLeftBytes = Infinity;
  #leastAtMs = 0;
  isAnew = false;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  of({ doneBytes, totalBytes }: JobProgress): "stalled" | "behind" | "well" {
    const nowMs = this.#nowMs();
    if (doneBytes !== this.#doneBytes) {
      this.#doneBytes = doneBytes;
      this.#movedAtMs = nowMs;
    }
    const leftBytes = totalBytes - doneBytes;
    if (leftBytes < this.#leastLeftBytes) {
      this.#leastLeftBytes = leftBytes;
      this.#leastAtMs = nowMs;
    }
    if (nowMs - this.#movedAtMs >= STALLED_MS) return "stalled";
    return nowMs - this.#leastAtMs >= BEHIND_MS ? "behind" : "well";
  }

  /** Once. */
  mayBeginAnew(): boolean {
    if (this.isAnew) return false;
    this.isAnew = true;
    this.#doneBytes = undefined;
    this.#leastLeftBytes = Infinity;
    return true;
  }
}

const ENDED: ReadonlySet<string> = new Set(["LIBVIRT_BLOCK_COPY_ACTIVE", "LIBVIRT_INVALID_ARG"]);

const stalled = ({ disk }: BlockJob): SocleError =>
  new SocleError(
    "conflict",
    "BLOCK_JOB_STALLED",
    `the block job of disk ${disk} copied nothing for ${STALLED_MS / 60_000} minutes and was cancelled; the guest's data is whole. ` +
      "Check the storage of its pool, then repeat the request",
    { details: { metadata: { disk } } },
  );
