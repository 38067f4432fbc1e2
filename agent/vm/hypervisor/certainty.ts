import type { Clock } from "../../kernel/clock.ts";
import { ifPresent, SocleError, toSocleError } from "../../kernel/errors.ts";
import { succeeds } from "../../kernel/thrown.ts";
import * as libvirt from "../../libvirt/index.ts";

/** The libvirt client methods that the VM layer calls. */
export type LibvirtCalls = Pick<libvirt.Libvirt, "call" | "openStream"> &
  Partial<Pick<libvirt.Libvirt, "reconnects">>;

/** Those of a layer that also waits for events. */
export type DomainCalls = LibvirtCalls & Pick<libvirt.Libvirt, "events">;

/** How long an effect may take to show once libvirt has started the call. */
const SETTLE_MS = 2000;
/** How long to look for the outcome of a lost reply before the operation ends as `outcome_unknown`. */
const OBSERVE_FOR_MS = 60_000;
const FIRST_LOOK_MS = 8;
const LOOK_EVERY_MS = 250;
const NIL_DOMAIN: libvirt.Domain = { name: "", uuid: "00000000-0000-0000-0000-000000000000", id: -1 };

/** Whether the effect is visible: undefined while it is in progress. Throws if libvirt does not answer. */
type Look = () => Promise<boolean | undefined>;

/**
 * Decides the outcome of changes whose replies may be lost, without guessing. A late reply is the outcome; if none can
 * come any more, libvirt's state shows the outcome.
 */
export class Certainty {
  readonly #libvirt: LibvirtCalls;
  readonly #clock: Clock;

  constructor(calls: LibvirtCalls, clock: Clock) {
    this.#libvirt = calls;
    this.#clock = clock;
  }

  /**
   * Runs a change until it is certain that it happened. A change without effect is retried, unless it may be sent only
   * `once`: then throws `unavailable` EFFECT_NOT_OBSERVED. Without `happened`, a lost reply alone causes a retry: for
   * changes that may be repeated. Throws libvirt's refusals, and `outcome_unknown` if a minute does not show the outcome.
   */
  async ensure(
    effect: () => Promise<unknown>,
    happened: Look = () => Promise.resolve(false),
    times: "once" | "again" = "again",
  ): Promise<void> {
    const deadlineMs = this.#clock.monotonicMs() + OBSERVE_FOR_MS;
    for (let isFirst = true; ; isFirst = false) {
      let lost: SocleError;
      try {
        await effect();
        return;
      } catch (thrown) {
        lost = toSocleError(thrown);
        if (lost.kind !== "outcome_unknown") {
          // The previous call may have succeeded meanwhile, so that libvirt refuses to repeat it.
          if (!isFirst && (await happened().catch(() => false)) === true) return;
          throw thrown;
        }
      }
      if (await this.#find(lost, happened, deadlineMs)) return;
      if (times === "once") throw notObserved(lost);
    }
  }

  /**
   * Resolves once libvirt has started all earlier calls, also those of closed connections, and their effects had time
   * to show. Throws if libvirt does not answer.
   */
  async quiet(): Promise<void> {
    await this.#passQueue();
    await this.#clock.sleep(SETTLE_MS);
  }

  /** Repeats `ask` until the answer `is` as wanted. Throws `outcome_unknown` after a minute, and what `ask` throws. */
  async once<T>(ask: () => Promise<T>, is: (answer: T) => boolean): Promise<T> {
    const deadlineMs = this.#clock.monotonicMs() + OBSERVE_FOR_MS;
    for (let waitMs = FIRST_LOOK_MS; ; waitMs = Math.min(2 * waitMs, LOOK_EVERY_MS)) {
      const answer = await ask();
      if (is(answer)) return answer;
      if (this.#clock.monotonicMs() >= deadlineMs) throw undecided();
      await this.#clock.sleep(waitMs);
    }
  }

  /** Whether it happened, for certain; throws `lost` if the deadline passes first. */
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
        // The agent is stopping: its next run looks.
        if (toSocleError(thrown).reason === "LIBVIRT_CLOSED") throw lost;
        return undefined;
      });
      if (answer === true) return true;
      // A call whose reply may still come may still take effect.
      if (late.reply !== undefined && answer === false) {
        isTakenUp ||= await succeeds(this.#passQueue());
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

  /**
   * libvirt's ordinary workers take calls in order of arrival, from all clients; other workers answer state queries at
   * once. So the reply to an ordinary call shows that no earlier call is queued any more.
   */
  async #passQueue(): Promise<void> {
    const args = { dom: NIL_DOMAIN, type: libvirt.DomainMetadataType.TITLE, uri: null, flags: 0 };
    await ifPresent("LIBVIRT_NO_DOMAIN", () => this.#libvirt.call(libvirt.domainGetMetadata, args));
  }
}

const notObserved = (lost: SocleError): SocleError =>
  new SocleError(
    "unavailable",
    "EFFECT_NOT_OBSERVED",
    `libvirt's reply was lost and the change had no effect: ${lost.message}`,
    { cause: lost, details: { retryAfterMs: 1000 } },
  );

const undecided = (): SocleError =>
  new SocleError(
    "outcome_unknown",
    "EFFECT_UNDER_WAY",
    "libvirt is still executing the change; its outcome is checked later",
  );
