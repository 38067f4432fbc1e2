import type { SocleError } from "../../../kernel/errors.ts";
import type { TriggerRule, Verdict } from "../trigger.ts";
import { atOnce, SECOND, streak, watching, type ConditionContext, type ConditionTable } from "./condition.ts";

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
      full: watching(
        "journals",
        { reason: "JournalFull", effect: "no_schedule", enter: atOnce, leave: atOnce },
        (failures) => journalVerdict(failures.filter(isFull)),
      ),
      failed: watching(
        "journals",
        { reason: "JournalFailed", effect: "no_schedule", enter: atOnce, leave: atOnce },
        (failures) => journalVerdict(failures.filter(isOther)),
      ),
      /** Acknowledged changes would be lost at the next start. */
      lost: watching(
        "journals",
        { reason: "StateLost", effect: "no_schedule", enter: atOnce, leave: atOnce },
        (failures) => journalVerdict(failures.filter(isLost)),
      ),
    },
    /** The agent started without a part of its state, and rejects changes. */
    StateUnreadable: {
      unreadable: watching(
        "journals",
        { reason: "Unreadable", effect: "no_schedule", enter: atOnce, leave: atOnce },
        (failures) => readVerdict(failures.filter(isUnreadable)),
      ),
    },
    /** Another agent drives this libvirt, so this one changes nothing. */
    HypervisorInUse: {
      held: watching(
        "journals",
        { reason: "LeaseHeldByAnotherAgent", effect: "no_schedule", enter: atOnce, leave: atOnce },
        (failures) => leaseVerdict(failures.filter(isInUse)),
      ),
      /** The lease in libvirt cannot be read or written. */
      refused: watching(
        "journals",
        { reason: "LeaseRefused", effect: "no_schedule", enter: atOnce, leave: atOnce },
        (failures) => leaseVerdict(failures.filter(isLease)),
      ),
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

function reported(reason: string): TriggerRule {
  return { reason, effect: "degraded", enter: atOnce, leave: atOnce, offUntilReported: true };
}

const isFull = ({ kind }: SocleError): boolean => kind === "exhausted";

const isLost = ({ reason }: SocleError): boolean => reason === "STATE_LOST";

const isUnreadable = ({ reason }: SocleError): boolean => reason === "STATE_UNREADABLE";
const isInUse = ({ reason }: SocleError): boolean => reason === "HYPERVISOR_IN_USE";
const isLease = ({ reason }: SocleError): boolean => reason.startsWith("LEASE_");
const isOther = (failure: SocleError): boolean =>
  ![isFull, isLost, isUnreadable, isInUse, isLease].some((is) => is(failure));

const leaseVerdict = (failures: readonly SocleError[]): Verdict =>
  failures.length === 0 ? { kind: "good", evidence: "no other agent is known" } : journalVerdict(failures);

/** Failures to read files at the start. */
const readVerdict = (failures: readonly SocleError[]): Verdict =>
  failures.length === 0 ? { kind: "good", evidence: "the state was read whole" } : journalVerdict(failures);

/** Failures to write journals. */
export const journalVerdict = (failures: readonly SocleError[]): Verdict =>
  failures.length === 0
    ? { kind: "good", evidence: "changes can be recorded" }
    : { kind: "bad", evidence: failures.map(({ message }) => message).join("; ") };

/** `lagMs`: 99th percentile of the event loop's delay in the last window. */
export function lagVerdict(lagMs: number, limitMs: number): Verdict {
  const evidence = `the agent's event loop lagged ${Math.round(lagMs)} ms (p99), ${limitMs} ms is the limit`;
  return { kind: lagMs > limitMs ? "bad" : "good", evidence };
}
