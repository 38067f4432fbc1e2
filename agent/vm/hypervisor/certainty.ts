import type { Clock } from "../../kernel/clock.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import * as libvirt from "../../libvirt/index.ts";

/** What of the libvirt client the VM layer calls. */
export type LibvirtCalls = Pick<libvirt.Libvirt, "call" | "openStream"> &
  Partial<Pick<libvirt.Libvirt, "reconnects">>;

/** How long an effect may stay hidden once libvirt has taken the call up. */
const SETTLE_MS = 2000;
/** How long the outcome of a lost answer is looked for before the operation is left as `outcome_unknown`. */
const OBSERVE_FOR_MS = 60_000;
const LOOK_EVERY_MS = 250;
const NOBODY: libvirt.Domain = { name: "", uuid: "00000000-0000-0000-0000-000000000000", id: -1 };

/** Whether the effect is there: undefined while it is under way. Throws when libvirt cannot be asked. */
export type Look = () => Promise<boolean | undefined>;

/**
 * Makes changes whose answers may be lost certain. A lost answer is never guessed: it may come late, and then it is the
 * truth; where it cannot come any more, libvirt is asked what happened.
 */
export class Certainty {
  readonly #libvirt: LibvirtCalls;
  readonly #clock: Clock;

  constructor(calls: LibvirtCalls, clock: Clock) {
    this.#libvirt = calls;
    this.#clock = clock;
  }

  /**
   * Runs a change until it is certain that it happened. One that did not is tried again, unless it may be done only
   * `once`: then throws `unavailable` EFFECT_NOT_OBSERVED. Throws libvirt's refusals, and `outcome_unknown` when it could
   * not be found out in a minute.
   */
  async ensure(effect: () => Promise<unknown>, happened: Look, times: "once" | "again"): Promise<void> {
    const deadlineMs = this.#clock.monotonicMs() + OBSERVE_FOR_MS;
    for (let isFirst = true; ; isFirst = false) {
      let lost: SocleError;
      try {
        await effect();
        return;
      } catch (thrown) {
        lost = toSocleError(thrown);
        if (lost.kind !== "outcome_unknown") {
          // The one before may have come through in the meantime, and be what libvirt refuses to do again.
          if (!isFirst && (await happened().catch(() => false)) === true) return;
          throw thrown;
        }
      }
      if (await this.#find(lost, happened, deadlineMs)) return;
      if (times === "once") throw notObserved(lost);
    }
  }

  /**
   * Resolves once everything that was sent to libvirt before, on connections that have ended too, was taken up and
   * has had the time to show. Throws when libvirt cannot be asked.
   */
  async quiet(): Promise<void> {
    await this.#passQueue();
    await this.#clock.sleep(SETTLE_MS);
  }

  /** Asks until the answer `is` as wanted. Throws `outcome_unknown` after a minute, and what asking throws. */
  async once<T>(ask: () => Promise<T>, is: (answer: T) => boolean): Promise<T> {
    const deadlineMs = this.#clock.monotonicMs() + OBSERVE_FOR_MS;
    for (;;) {
      const answer = await ask();
      if (is(answer)) return answer;
      if (this.#clock.monotonicMs() >= deadlineMs) throw undecided();
      await this.#clock.sleep(LOOK_EVERY_MS);
    }
  }

  /** Whether it happened, for certain; throws `lost` when that cannot be said before the deadline. */
  async #find(lost: SocleError, happened: Look, deadlineMs: number): Promise<boolean> {
    const late: { reply?: libvirt.LateReply } = {};
    if (lost instanceof libvirt.OutcomeUnknown) void lost.reply.then((reply) => (late.reply = reply));
    else late.reply = { kind: "none" };
    let isTakenUp = false;
    let missingSinceMs: number | undefined;
    while (this.#clock.monotonicMs() < deadlineMs) {
      if (late.reply?.kind === "done") return true;
      if (late.reply?.kind === "refused") throw late.reply.error;
      const answer = await happened().catch((thrown: unknown) => {
        // The agent is stopping: its next life asks.
        if (toSocleError(thrown).reason === "LIBVIRT_CLOSED") throw lost;
        return undefined;
      });
      if (answer === true) return true;
      // While it may still be answered, it may still be carried out.
      if (late.reply !== undefined && answer === false) {
        isTakenUp ||= await this.#isQueuePassed();
        if (isTakenUp) missingSinceMs ??= this.#clock.monotonicMs();
      } else {
        missingSinceMs = undefined;
      }
      if (missingSinceMs !== undefined && this.#clock.monotonicMs() - missingSinceMs >= SETTLE_MS)
        return false;
      await this.#clock.sleep(LOOK_EVERY_MS);
    }
    throw lost;
  }

  async #isQueuePassed(): Promise<boolean> {
    return await this.#passQueue().then(
      () => true,
      () => false,
    );
  }

  /**
   * libvirt's ordinary workers take calls in the order in which they came, whoever sent them, while states are told by
   * others at once. So an ordinary call that is answered shows that those before it are in nobody's queue any more.
   */
  async #passQueue(): Promise<void> {
    try {
      const type = libvirt.DomainMetadataType.TITLE;
      await this.#libvirt.call(libvirt.domainGetMetadata, { dom: NOBODY, type, uri: null, flags: 0 });
    } catch (thrown) {
      if (toSocleError(thrown).reason !== "LIBVIRT_NO_DOMAIN") throw thrown;
    }
  }
}

const notObserved = (lost: SocleError): SocleError =>
  new SocleError(
    "unavailable",
    "EFFECT_NOT_OBSERVED",
    `libvirt's answer was lost, and its effect is not there: ${lost.message}`,
    { cause: lost, details: { retryAfterMs: 1000 } },
  );

const undecided = (): SocleError =>
  new SocleError(
    "outcome_unknown",
    "EFFECT_UNDER_WAY",
    "libvirt is still at it; what comes of it is looked at later",
  );
