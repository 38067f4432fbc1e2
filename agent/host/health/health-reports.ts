import type { Config } from "../../config/schema.ts";
import type { Health } from "./health.ts";
import { independent, RecentFailures, StartFailures, type Failure } from "./start-failures.ts";
import type { Moment, Verdict } from "./trigger.ts";

type KvmFailure = Pick<Failure, "vmId" | "tenant" | "image"> & { readonly evidence: string };

/** What no reader finds: others tell of it, as it happens to them. */
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
   * A KVM guest ended paused with an internal error soon after its start, and none shows that KVM works. A guest can
   * bring that on: those of one tenant alone prove nothing.
   */
  reportKvmFailure({ evidence, ...culprit }: KvmFailure): void {
    const { monotonicMs } = this.#now();
    this.#kvmFailures.add({ ...culprit, fault: "unclear", why: evidence }, monotonicMs);
    const isProof = independent(this.#kvmFailures.within(this.#withinMs, this.#withinMs, monotonicMs)) > 0;
    const { kind, ...fails } = kvmFails({ vmId: culprit.vmId, evidence });
    this.#kvm("guest", { kind: isProof ? kind : "between", ...fails });
  }

  /** Not even an empty guest can be started under KVM: those that run already say nothing against that. */
  reportKvmStartFailure(failure: { readonly vmId: string; readonly evidence: string }): void {
    this.#kvm("start", kvmFails(failure));
  }

  /** KVM guests run, well past their start; `isNew`: one of them was started not long ago. */
  reportKvmSuccess({ running, isNew }: { readonly running: number; readonly isNew: boolean }): void {
    this.#kvmFailures.clear();
    this.#kvm("guest", { kind: "good", evidence: `guests that run well on KVM now: ${running}` });
    if (isNew) this.#kvm("start", { kind: "good", evidence: "a guest was started on KVM and runs" });
  }

  #kvm(trigger: "guest" | "start", verdict: Verdict): void {
    this.#health.observe("KvmUnavailable", trigger, verdict, this.#now());
  }

  /** A VM could not be started, and that may be the host's fault. */
  reportStartFailure(failure: Failure): void {
    const now = this.#now();
    this.#health.observe("VmStartFailures", "starts", this.#starts.failed(failure, now.monotonicMs), now);
  }

  reportStartSuccess(vmId: string): void {
    this.#health.observe("VmStartFailures", "starts", this.#starts.succeeded(vmId), this.#now());
  }

  /**
   * What is wrong with the audit log, in words: it cannot be read (then nothing else is known of it), was tampered with, or is
   * not told to whom it should be.
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
    const verdict = (bad: string | undefined, fine: string) =>
      ({ kind: bad === undefined ? "good" : "bad", evidence: bad ?? fine }) as const;
    this.#health.observe(
      "AuditLog",
      "unreadable",
      verdict(unreadable, "the audit log was read"),
      this.#now(),
    );
    if (unreadable !== undefined) return;
    this.#health.observe("AuditLog", "damaged", verdict(damaged, "the audit log was whole"), this.#now());
    this.#health.observe("AuditLog", "behind", verdict(behind, "it is told to all"), this.#now());
  }

  /** What guests cannot be started for want of their volume key, in words. */
  reportVolumeKey(lost: string | undefined): void {
    const fine = "the passphrases of all guests can be opened";
    const verdict = { kind: lost === undefined ? "good" : "bad", evidence: lost ?? fine } as const;
    this.#health.observe("VolumeKey", "lost", verdict, this.#now());
  }

  /** Which VMs cannot be read, in words; undefined: all can be. */
  reportUnreadableVms(problem: string | undefined): void {
    const evidence = problem ?? "all VMs can be read";
    const verdict = { kind: problem === undefined ? "good" : "bad", evidence } as const;
    this.#health.observe("VmUnreadable", "metadata", verdict, this.#now());
  }

  /** Somebody changed something without saying who he is. */
  reportBreakGlass({ reason, method }: { readonly reason: string; readonly method: string }): void {
    const now = this.#now();
    const time = new Date(now.wallMs).toISOString();
    const evidence = `last ${method} at ${time}, because: ${reason}; socle audit show tells of each`;
    this.#health.observe("BreakGlass", "used", { kind: "bad", evidence }, now);
  }

  /** What time alone changes. */
  age(): void {
    const now = this.#now();
    this.#health.observe("VmStartFailures", "starts", this.#starts.verdict(now.monotonicMs), now);
  }
}

/** That nobody finds out by himself that it is over, somebody has to know. */
function kvmFails({ vmId, evidence }: { readonly vmId: string; readonly evidence: string }): Verdict {
  const how = "it ends when guests run on KVM, or with socle health ack KvmUnavailable";
  return { kind: "bad", evidence: `VM ${vmId}: ${evidence} (${how})` };
}
