import type { Verdict } from "./trigger.ts";

export interface StartFailureLimits {
  /** So many different VMs. */
  readonly vms: number;
  readonly withinMs: number;
  /** Without another failure for this long, or after one success, all is well again. */
  readonly goodAfterMs: number;
}

const MOST_NAMED = 5;

/** Whether VMs can be started here, by what happened to those that were to be. */
export class StartFailures {
  readonly #limits: StartFailureLimits;
  /** By VM, its last failure: monotonic, and in libvirt's words. */
  readonly #failures = new Map<string, { readonly atMs: number; readonly why: string }>();

  /** Before it there may have been failures that another agent saw: it was quiet only once it was so for long. */
  #watchedSinceMs: number;

  constructor(limits: StartFailureLimits, nowMs: number) {
    this.#limits = limits;
    this.#watchedSinceMs = nowMs;
  }

  failed(vmId: string, why: string, nowMs: number): Verdict {
    this.#failures.delete(vmId);
    this.#failures.set(vmId, { atMs: nowMs, why });
    return this.verdict(nowMs);
  }

  succeeded(vmId: string): Verdict {
    this.#failures.clear();
    this.#watchedSinceMs = -Infinity;
    return { kind: "good", evidence: `VM ${vmId} was started` };
  }

  /** As time goes by. */
  verdict(nowMs: number): Verdict {
    const { vms, withinMs, goodAfterMs } = this.#limits;
    for (const [vmId, { atMs }] of this.#failures)
      if (nowMs - atMs >= Math.max(withinMs, goodAfterMs)) this.#failures.delete(vmId);
    const recent = [...this.#failures].filter(([, { atMs }]) => nowMs - atMs < withinMs);
    const named = recent.slice(-MOST_NAMED).map(([vmId, { why }]) => `${vmId} (${why})`);
    const evidence =
      recent.length === 0
        ? `no VM failed to start within ${withinMs / 60_000} min`
        : `${recent.length} VMs failed to start within ${withinMs / 60_000} min: ${named.join(", ")}`;
    if (recent.length >= vms) return { kind: "bad", evidence };
    const lastMs = Math.max(this.#watchedSinceMs, ...[...this.#failures.values()].map(({ atMs }) => atMs));
    const isQuiet = nowMs - lastMs >= goodAfterMs;
    return { kind: isQuiet ? "good" : "between", evidence };
  }
}
