import type { SocleError } from "../../../kernel/errors.ts";
import type { TriggerRule, Verdict } from "../trigger.ts";
import { atOnce, SECOND, streak, watching, type ConditionContext, type ConditionTable } from "./condition.ts";

export const agentConditions = ({ config: { health } }: ConditionContext) =>
  ({
    AgentImpaired: {
      lag: watching(
        "eventLoopLag",
        {
          reason: "EventLoopLags",
          effect: "degraded",
          enter: streak(2, health.eventLoopLagSeconds),
          leave: streak(2, health.eventLoopGoodSeconds),
        },
        ({ p99Ms }) => lagVerdict(p99Ms, health.eventLoopLagMaxSeconds * SECOND),
      ),
    },
    /** Nothing can be changed on this host, which a scheduler should know before it asks. */
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
      /** What is acknowledged would be gone at the next start. */
      lost: watching(
        "journals",
        { reason: "StateLost", effect: "no_schedule", enter: atOnce, leave: atOnce },
        (failures) => journalVerdict(failures.filter(isLost)),
      ),
    },
    /** The agent started without a part of its state, and takes no change. */
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
        { reason: "HeldByAnother", effect: "no_schedule", enter: atOnce, leave: atOnce },
        (failures) => leaseVerdict(failures.filter(isInUse)),
      ),
      /** libvirt does not say who drives it, or does not let this agent say so. */
      refused: watching(
        "journals",
        { reason: "LeaseRefused", effect: "no_schedule", enter: atOnce, leave: atOnce },
        (failures) => leaseVerdict(failures.filter(isLease)),
      ),
    },
    AuditLog: {
      unreadable: reported("Unreadable"),
      /** Whoever looks is to have seen it: the next start finds nothing wrong any more. */
      damaged: { ...reported("Damaged"), latch: "acknowledge" },
      behind: reported("ForwardingBehind"),
    },
    /** Told before a guest is to be started, which then fails. New VMs are no worse off: they are sealed by what is there. */
    VolumeKey: { lost: reported("Lost") },
    BreakGlass: {
      /** Somebody who may is to have seen it. */
      used: { ...reported("Used"), latch: "acknowledge", endsWhenSeen: true },
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

/** Of the files that could not be read at the start. */
const readVerdict = (failures: readonly SocleError[]): Verdict =>
  failures.length === 0 ? { kind: "good", evidence: "the state was read whole" } : journalVerdict(failures);

/** Of the journals that cannot be written. */
export const journalVerdict = (failures: readonly SocleError[]): Verdict =>
  failures.length === 0
    ? { kind: "good", evidence: "changes can be recorded" }
    : { kind: "bad", evidence: failures.map(({ message }) => message).join("; ") };

/** `lagMs`: the event loop's delay that 99 of 100 turns in the last window stayed under. */
export function lagVerdict(lagMs: number, limitMs: number): Verdict {
  const evidence = `the agent's event loop lagged ${Math.round(lagMs)} ms (p99), ${limitMs} ms is the limit`;
  return { kind: lagMs > limitMs ? "bad" : "good", evidence };
}
