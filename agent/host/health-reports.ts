import type { Config } from "../config/schema.ts";
import type { Health } from "./health.ts";
import { StartFailures } from "./start-failures.ts";
import type { Moment } from "./trigger.ts";

/** What no reader finds: others tell of it, as it happens to them. */
export class HealthReports {
  readonly #health: Pick<Health, "observe">;
  readonly #now: () => Moment;
  readonly #starts: StartFailures;

  constructor(options: {
    readonly health: Pick<Health, "observe">;
    readonly config: Config["health"];
    readonly now: () => Moment;
  }) {
    const { health, config, now } = options;
    this.#health = health;
    this.#now = now;
    this.#starts = new StartFailures({
      vms: config.vmStartFailures,
      withinMs: config.vmStartFailureSeconds * 1000,
      goodAfterMs: config.vmStartGoodSeconds * 1000,
    });
  }

  /** A KVM guest ended paused with an internal error soon after its start. */
  reportKvmFailure(failure: { readonly vmId: string; readonly evidence: string }): void {
    const evidence = `VM ${failure.vmId}: ${failure.evidence}`;
    this.#health.observe("KvmUnavailable", "guest", { kind: "bad", evidence }, this.#now());
  }

  /** A KVM guest runs, well past its start. */
  reportKvmSuccess(): void {
    const verdict = { kind: "good", evidence: "a guest runs on KVM" } as const;
    this.#health.observe("KvmUnavailable", "guest", verdict, this.#now());
  }

  /** A VM could not be started, by no fault of who asked for it. */
  reportStartFailure(vmId: string, why: string): void {
    const now = this.#now();
    this.#health.observe("VmStartFailures", "starts", this.#starts.failed(vmId, why, now.monotonicMs), now);
  }

  reportStartSuccess(vmId: string): void {
    this.#health.observe("VmStartFailures", "starts", this.#starts.succeeded(vmId), this.#now());
  }

  /** What is wrong with the audit log, in words: it was tampered with, or is not told to whom it should be. */
  reportAudit({ damaged, behind }: { readonly damaged?: string; readonly behind?: string }): void {
    const verdict = (bad: string | undefined, fine: string) =>
      ({ kind: bad === undefined ? "good" : "bad", evidence: bad ?? fine }) as const;
    this.#health.observe("AuditLog", "damaged", verdict(damaged, "the audit log was whole"), this.#now());
    this.#health.observe("AuditLog", "behind", verdict(behind, "it is told to all"), this.#now());
  }

  /** What guests cannot be started for want of their volume key, in words. */
  reportVolumeKey(lost: string | undefined): void {
    const fine = "the passphrases of all guests can be opened";
    const verdict = { kind: lost === undefined ? "good" : "bad", evidence: lost ?? fine } as const;
    this.#health.observe("VolumeKey", "lost", verdict, this.#now());
  }

  /** Somebody changed something without saying who he is. */
  reportBreakGlass({ reason, method }: { readonly reason: string; readonly method: string }): void {
    const now = this.#now();
    const time = new Date(now.wallMs).toISOString();
    const evidence = `last ${method} at ${time}, because: ${reason}; socle audit show tells of each`;
    this.#health.observe("BreakGlass", "used", { kind: "bad", evidence }, now);
  }

  /** What was reported is over, as far as it ends by being seen. */
  seen(): void {
    const fine = { kind: "good", evidence: "it was seen" } as const;
    this.#health.observe("BreakGlass", "used", fine, this.#now());
  }

  /** What time alone changes. */
  age(): void {
    const now = this.#now();
    this.#health.observe("VmStartFailures", "starts", this.#starts.verdict(now.monotonicMs), now);
  }
}
