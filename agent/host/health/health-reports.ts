import type { Config } from "../../config/schema.ts";
import type { Health } from "./health.ts";
import { independent, RecentFailures, StartFailures, type Failure } from "./start-failures.ts";
import { bad, faultOr, good, type Moment, type Verdict } from "./trigger.ts";

type KvmFailure = Pick<Failure, "vmId" | "tenant" | "image"> & { readonly evidence: string };

/** Health reports from other parts of the agent, for faults that no reader detects. */
export class HealthReports {
  readonly #health: Pick<Health, "observe">;
  readonly #now: () => Moment;
  readonly #starts: StartFailures;
  readonly #kvmFailures = new RecentFailures();
  readonly #withinMs: number;

  constructor(options: {
    readonly health: Pick<Health, "observe">;
    readonly config: Config["health"];
    readonly now: () => Moment;
  }) {
    const { health, config, now } = options;
    this.#health = health;
    this.#now = now;
    const limits = {
      vms: config.vmStartFailures,
      withinMs: config.vmStartFailureSeconds * 1000,
      goodAfterMs: config.vmStartGoodSeconds * 1000,
    };
    this.#withinMs = limits.withinMs;
    this.#starts = new StartFailures(limits, now().monotonicMs);
  }

  /**
   * A KVM guest paused with an internal error soon after its start, and no guest shows that KVM works. A guest can
   * cause that, so guests of a single tenant prove nothing.
   */
  reportKvmFailure({ evidence, ...culprit }: KvmFailure): void {
    const { monotonicMs } = this.#now();
    this.#kvmFailures.add({ ...culprit, fault: "unclear", why: evidence }, monotonicMs);
    const isProof = independent(this.#kvmFailures.within(this.#withinMs, this.#withinMs, monotonicMs)) > 0;
    const { kind, ...fails } = kvmFails({ vmId: culprit.vmId, evidence });
    this.#kvm("guest", { kind: isProof ? kind : "between", ...fails });
  }

  /** Not even an empty guest starts under KVM; guests that already run do not disprove it. */
  reportKvmStartFailure(failure: { readonly vmId: string; readonly evidence: string }): void {
    this.#kvm("start", kvmFails(failure));
  }

  /** KVM guests run, well past their start; `isNew`: at least one started recently. */
  reportKvmSuccess({ running, isNew }: { readonly running: number; readonly isNew: boolean }): void {
    this.#kvmFailures.clear();
    this.#kvm("guest", good(`guests that run well on KVM now: ${running}`));
    if (isNew) this.#kvm("start", good("a guest was started on KVM and runs"));
  }

  #kvm(trigger: "guest" | "start", verdict: Verdict): void {
    this.#health.observe("KvmUnavailable", trigger, verdict, this.#now());
  }

  /** A VM failed to start, possibly because of the host. */
  reportStartFailure(failure: Failure): void {
    const now = this.#now();
    this.#health.observe("VmStartFailures", "starts", this.#starts.failed(failure, now.monotonicMs), now);
  }

  reportStartSuccess(vmId: string): void {
    this.#health.observe("VmStartFailures", "starts", this.#starts.succeeded(vmId), this.#now());
  }

  /**
   * Problems of the audit log as texts: it cannot be read (then the others are unknown), was tampered with, or its
   * forwarding is behind.
   */
  reportAudit({
    unreadable,
    damaged,
    behind,
  }: {
    readonly unreadable?: string;
    readonly damaged?: string;
    readonly behind?: string;
  }): void {
    const now = this.#now();
    this.#health.observe("AuditLog", "unreadable", faultOr(unreadable, "the audit log was read"), now);
    if (unreadable !== undefined) return;
    this.#health.observe("AuditLog", "damaged", faultOr(damaged, "the audit log was whole"), now);
    this.#health.observe("AuditLog", "behind", faultOr(behind, "all entries are forwarded"), now);
  }

  /** Guests that cannot start without their volume key, as a text. */
  reportVolumeKey(lost: string | undefined): void {
    const verdict = faultOr(lost, "the passphrases of all guests can be opened");
    this.#health.observe("VolumeKey", "lost", verdict, this.#now());
  }

  /** Unreadable VMs, as a text; undefined: none. */
  reportUnreadableVms(problem: string | undefined): void {
    this.#health.observe("VmUnreadable", "metadata", faultOr(problem, "all VMs can be read"), this.#now());
  }

  /** A change was made by break-glass, without a person's token. */
  reportBreakGlass({ reason, method }: { readonly reason: string; readonly method: string }): void {
    const now = this.#now();
    const time = new Date(now.wallMs).toISOString();
    const evidence = `last ${method} at ${time}, because: ${reason}; socle audit show lists each use`;
    this.#health.observe("BreakGlass", "used", bad(evidence), now);
  }

  /** Updates conditions that change with time only. */
  age(): void {
    const now = this.#now();
    this.#health.observe("VmStartFailures", "starts", this.#starts.verdict(now.monotonicMs), now);
  }
}

/** The evidence names how the condition ends, since no probe detects that. */
function kvmFails({ vmId, evidence }: { readonly vmId: string; readonly evidence: string }): Verdict {
  const how = "it ends when guests run on KVM, or with socle health ack KvmUnavailable";
  return bad(`VM ${vmId}: ${evidence} (${how})`);
}
