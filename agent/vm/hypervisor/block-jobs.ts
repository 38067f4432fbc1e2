import type { Clock } from "../../kernel/clock.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import * as libvirt from "../../libvirt/index.ts";
import { Certainty, type DomainCalls } from "./certainty.ts";
import { DomainNews } from "./domain-news.ts";
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
  /** libvirt has a job that it cannot describe: `begin` ends it first. */
  readonly isLost: () => Promise<boolean>;
  /** Whether the guest is to be switched now, which completes the job. */
  readonly isReady: () => Promise<boolean>;
  /** For a job that ended without its effect. */
  readonly failed: () => SocleError;
  /** The job can begin anew with a copy that keeps up with the guest. */
  readonly mayBeginAnew: boolean;
  readonly pivot?: PivotNotes | undefined;
}

/**
 * What is noted of the switch of a guest. libvirt may die between QEMU's switch and its own record of it: then it does not
 * show which file the guest writes to, and a cancellation that it accepts may still switch the guest.
 */
export interface PivotNotes {
  /** QEMU may have been asked for the switch, and no answer of libvirt excludes it: the job can only be completed. */
  readonly isAsked: () => boolean;
  /** Before libvirt is asked; durable when it resolves. */
  readonly ask: () => Promise<void>;
  /** libvirt's answer shows that the guest is not switched. */
  readonly refused: () => Promise<void>;
}

const POLL = { firstMs: 20, mostMs: 500, switchedMs: 1 } as const;
/** A job that is at its end: libvirt may take a moment to report it as ready. */
const JOB_GONE_LOOKS = 3;
/** A job that moves no byte for so long does not go on by itself. */
export const STALLED_MS = 300_000;
/** The job copied for so long, and the bytes that are left did not fall below their least: the guest writes as fast. */
export const BEHIND_MS = 30_000;

/** Follows the jobs of libvirt that copy the bytes of disks. */
export class BlockJobs {
  readonly #libvirt: DomainCalls;
  readonly #clock: Clock;
  readonly #certainty: Certainty;

  constructor(calls: DomainCalls, clock: Clock) {
    this.#libvirt = calls;
    this.#clock = clock;
    this.#certainty = new Certainty(calls, clock);
  }

  /**
   * Runs a job to its end; continues one that runs already. Throws what `failed` returns, `timeout` BLOCK_JOB_STALLED after
   * five minutes without progress, when the job was cancelled or does not end, and the reason of `aborted`.
   */
  async run(id: string, job: BlockJob, { report, aborted }: Watch): Promise<void> {
    const { device, isDone, isReady, begin, isLost, failed, pivot } = job;
    const mayCancel = (): boolean => pivot?.isAsked() !== true;
    const pace = new Pace(() => this.#clock.monotonicMs());
    let begun = false;
    let waitMs: number = POLL.firstMs;
    let missing = 0;
    using news = new DomainNews(this.#libvirt, this.#clock, id, "block_job");
    for (;;) {
      const isPivotable = await isReady();
      const progress = await this.progress(id, device);
      if (progress === undefined || (!begun && mayCancel() && (await isLost()))) {
        if (await isDone()) return;
        // A job that has just ended may not show in the XML yet.
        if (begun && (missing += 1) > JOB_GONE_LOOKS) throw failed();
        if (!begun) {
          // A new copy would be written over what the guest may have written last.
          if (!mayCancel()) throw failed();
          aborted.throwIfAborted();
          await begin(pace.isAnew);
          begun = true;
          continue;
        }
      } else {
        begun = true;
        missing = 0;
        report(progress);
        if (aborted.aborted && mayCancel()) {
          await this.cancel(id, device);
          aborted.throwIfAborted();
        }
        const state = pace.of(progress);
        if (state === "stalled") {
          if (!mayCancel()) throw switching(job);
          // Its storage may keep it from ending.
          const isCancelled = await this.cancel(id, device).then(() => true, falseIfUnknown);
          throw stalled(job, isCancelled);
        }
        if (isPivotable) {
          if (await this.#pivot(id, job, aborted)) waitMs = POLL.switchedMs;
        } else if (state === "behind" && job.mayBeginAnew && mayCancel() && pace.mayBeginAnew()) {
          await this.cancel(id, device);
          begun = false;
          continue;
        }
      }
      await news.next(waitMs);
      waitMs = Math.min(2 * waitMs, POLL.mostMs);
    }
  }

  async progress(id: string, device: string): Promise<JobProgress | undefined> {
    const { found, cur, end } = await this.#info(id, device);
    return found ? { doneBytes: cur, totalBytes: end } : undefined;
  }

  /** A DomainBlockJobType; undefined without a job. */
  async typeOf(id: string, device: string): Promise<number | undefined> {
    const { found, type } = await this.#info(id, device);
    return found ? type : undefined;
  }

  #info(id: string, device: string) {
    const args = { dom: reference(id), path: device, flags: 0 };
    return this.#libvirt.call(libvirt.domainGetBlockJobInfo, args);
  }

  /** Cancels the job, and waits until it is gone. Also succeeds without one. Throws `outcome_unknown`. */
  async cancel(id: string, device: string): Promise<void> {
    const isGone = async (): Promise<boolean> => (await this.progress(id, device)) === undefined;
    await this.#certainty.ensure(async () => {
      await this.#end(id, device, 0).catch((thrown: unknown) => {
        if (!NOTHING_ASKED.has(toSocleError(thrown).reason)) throw thrown;
      });
    }, isGone);
  }

  /**
   * Whether libvirt switched the guest. Otherwise a job that is gone has switched it or failed, and the XML may show the switch
   * late. Throws `outcome_unknown`.
   */
  async #pivot(id: string, { device, isDone, pivot }: BlockJob, aborted: AbortSignal): Promise<boolean> {
    const qemu = pivot === undefined ? undefined : await this.#qemu(id);
    const isFirst = pivot?.isAsked() === false;
    // The job is cancelled then, which a refused note would prevent.
    if (isFirst && aborted.aborted) return false;
    if (isFirst) await pivot.ask();
    let asks = 0;
    const isDecided = async (): Promise<boolean | undefined> => {
      if (await isDone()) return true;
      return (await this.progress(id, device)) === undefined ? undefined : false;
    };
    const ask = async (): Promise<void> => {
      asks += 1;
      await this.#end(id, device, libvirt.DomainBlockJobAbortFlags.PIVOT);
    };
    try {
      await this.#certainty.ensure(ask, isDecided);
      return true;
    } catch (thrown) {
      const error = toSocleError(thrown);
      if (error.kind === "outcome_unknown") throw error;
      // The error is libvirt's answer to the only request, also if it came late. A libvirt that lives knows what the QEMU that
      // still runs did.
      if (isFirst && asks === 1 && (isUnasked(error) || (await this.#stillRuns(id, qemu))))
        await pivot.refused();
      // Without the job, the XML shows how it ended.
      const isGone = (await this.progress(id, device)) === undefined;
      if (!isGone && !NOTHING_ASKED.has(error.reason)) throw error;
      return false;
    }
  }

  /** The run of the guest's QEMU; undefined for none. libvirt may number two runs alike if it died between. */
  async #qemu(id: string): Promise<string | undefined> {
    const { dom } = await this.#libvirt.call(libvirt.domainLookupByUuid, { uuid: id });
    return dom.id === OFF ? undefined : `${this.#libvirt.reconnects ?? 0}.${dom.id}`;
  }

  async #stillRuns(id: string, qemu: string | undefined): Promise<boolean> {
    return qemu !== undefined && (await this.#qemu(id)) === qemu;
  }

  async #end(id: string, device: string, flags: number): Promise<void> {
    const args = { dom: reference(id), path: device, flags };
    await this.#libvirt.call(libvirt.domainBlockJobAbort, args, { lane: "slow" });
  }
}

/** Whether a job makes progress, and whether it comes nearer to its end. */
class Pace {
  readonly #nowMs: () => number;
  #doneBytes: number | undefined;
  #movedAtMs = 0;
  #leastLeftBytes = Infinity;
  #behindMs = 0;
  #seenAtMs = 0;
  isAnew = false;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  of({ doneBytes, totalBytes }: JobProgress): "stalled" | "behind" | "well" {
    const nowMs = this.#nowMs();
    const sinceMs = nowMs - this.#seenAtMs;
    this.#seenAtMs = nowMs;
    const leftBytes = totalBytes - doneBytes;
    if (leftBytes < this.#leastLeftBytes) {
      this.#leastLeftBytes = leftBytes;
      this.#behindMs = 0;
    } else if (doneBytes !== this.#doneBytes) {
      // Storage that pauses is no guest that writes as fast: only the time in which the job copies counts.
      this.#behindMs += sinceMs;
    }
    if (doneBytes !== this.#doneBytes) {
      this.#doneBytes = doneBytes;
      this.#movedAtMs = nowMs;
    }
    if (nowMs - this.#movedAtMs >= STALLED_MS) return "stalled";
    return this.#behindMs >= BEHIND_MS ? "behind" : "well";
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

/** The number of a domain that is off. */
const OFF = -1;
/** The job is not ready yet, or is over. */
const NOTHING_ASKED: ReadonlySet<string> = new Set(["LIBVIRT_BLOCK_COPY_ACTIVE", "LIBVIRT_INVALID_ARG"]);

/** Kinds of error of a call that was not sent: a change that was sent has libvirt's answer, or is `outcome_unknown`. */
const UNSENT: ReadonlySet<string> = new Set(["unavailable", "exhausted", "timeout"]);

/** libvirt was not asked, or has not asked QEMU. It also calls a job invalid that another client ends. */
const isUnasked = ({ kind, reason, message, details }: SocleError): boolean =>
  NOTHING_ASKED.has(reason) ||
  (UNSENT.has(kind) && details.metadata?.["libvirtCode"] === undefined) ||
  (reason === "LIBVIRT_OPERATION_INVALID" && message.includes("domain is not running"));

const falseIfUnknown = (thrown: unknown): false => {
  if (toSocleError(thrown).kind !== "outcome_unknown") throw thrown;
  return false;
};

const switching = ({ disk }: BlockJob): SocleError =>
  new SocleError(
    "outcome_unknown",
    "EFFECT_UNDER_WAY",
    `the guest is being switched to another file of disk ${disk}, which makes no progress: check the storage of its pools`,
    { details: { metadata: { disk } } },
  );

const stalled = ({ disk }: BlockJob, isCancelled: boolean): SocleError =>
  new SocleError(
    "conflict",
    "BLOCK_JOB_STALLED",
    `the block job of disk ${disk} copied nothing for ${STALLED_MS / 60_000} minutes and ${isCancelled ? "was cancelled" : "libvirt does not show whether its cancellation took effect"}; the guest's data is whole. ` +
      "Check the storage of its pool, then repeat the request",
    { details: { metadata: { disk } } },
  );
