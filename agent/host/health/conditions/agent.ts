import type { SocleError } from "../../../kernel/errors.ts";
import { badIf, faultOr, type TriggerRule, type Verdict } from "../trigger.ts";
import {
  SECOND,
  streak,
  watching,
  type ConditionContext,
  type ConditionTable,
  type Trigger,
} from "./condition.ts";

const RECORDED = "changes can be recorded";

export const agentConditions = ({ config: { health } }: ConditionContext) =>
  ({
    AgentImpaired: {
      lag: watching(
        "eventLoopLag",
        {
          reason: "EventLoopLagHigh",
          effect: "degraded",
          enter: streak(2, health.eventLoopLagSeconds),
          leave: streak(2, health.eventLoopGoodSeconds),
        },
        ({ p99Ms }) => lagVerdict(p99Ms, health.eventLoopLagMaxSeconds * SECOND),
      ),
    },
    /** This host rejects all changes, which a scheduler should know in advance. */
    StateUnwritable: {
      full: refusing("JournalFull", isFull, RECORDED),
      failed: refusing("JournalFailed", isOther, RECORDED),
      /** Acknowledged changes would be lost at the next start. */
      lost: refusing("StateLost", isLost, RECORDED),
    },
    /** The agent started without a part of its state, and rejects changes. */
    StateUnreadable: { unreadable: refusing("Unreadable", isUnreadable, "the state was read whole") },
    /** Another agent drives this libvirt, so this one changes nothing. */
    HypervisorInUse: {
      held: refusing("LeaseHeldByAnotherAgent", isInUse, "no other agent is known"),
      /** The lease in libvirt cannot be read or written. */
      refused: refusing("LeaseRefused", isLease, "no other agent is known"),
    },
    AuditLog: {
      unreadable: reported("Unreadable"),
      /** Latched for an auditor: the next start no longer finds the damage. */
      damaged: { ...reported("Damaged"), latch: "acknowledge" },
      behind: reported("ForwardingBehind"),
    },
    /** Reported before a start fails. New VMs are not affected: their passphrases are sealed with the present key. */
    VolumeKey: { lost: reported("Lost") },
    BreakGlass: {
      /** Latched until an authorised person acknowledges it. */
      used: { ...reported("Used"), latch: "acknowledge", endsOnAcknowledge: true },
    },
  }) satisfies ConditionTable;

/** Failures of a kind, because of which all changes are rejected. */
const refusing = (reason: string, isOfKind: (failure: SocleError) => boolean, fine: string): Trigger =>
  watching("journals", { reason, effect: "no_schedule" }, (failures) => {
    const found = failures.filter(isOfKind).map(({ message }) => message);
    return faultOr(found.length === 0 ? undefined : found.join("; "), fine);
  });

const reported = (reason: string): TriggerRule => ({ reason, effect: "degraded", offUntilReported: true });

const isFull = ({ kind }: SocleError): boolean => kind === "exhausted";
const isLost = ({ reason }: SocleError): boolean => reason === "STATE_LOST";
const isUnreadable = ({ reason }: SocleError): boolean => reason === "STATE_UNREADABLE";
const isInUse = ({ reason }: SocleError): boolean => reason === "HYPERVISOR_IN_USE";
const isLease = ({ reason }: SocleError): boolean => reason.startsWith("LEASE_");
const isOther = (failure: SocleError): boolean =>
  ![isFull, isLost, isUnreadable, isInUse, isLease].some((is) => is(failure));

/** `lagMs`: 99th percentile of the event loop's delay in the last window. */
export function lagVerdict(lagMs: number, limitMs: number): Verdict {
  const evidence = `the agent's event loop lagged ${Math.round(lagMs)} ms (p99), ${limitMs} ms is the limit`;
  return badIf(lagMs > limitMs, evidence);
}
