import type { Verdict } from "./trigger.ts";

export interface StartFailureLimits {
  /** So many failures that are independent of each other. */
  readonly vms: number;
  readonly withinMs: number;
  /** Without another failure for this long, or after one success, all is well again. */
  readonly goodAfterMs: number;
}

/** A VM that failed. */
export interface Failure {
  readonly vmId: string;
  /** Empty: the provider's own VM. */
  readonly tenant: string;
  /** What it boots. */
  readonly image: string;
  /** host: the host is at fault for certain. unclear: that, or what the tenant boots. */
  readonly fault: "host" | "unclear";
  readonly why: string;
}

const MOST_NAMED = 5;
/** More are counted as so many: only the last are kept. */
const MOST_KEPT = 1000;

/**
 * How many failures speak against the host. Each that is certainly the host's does, and each of the provider's own VMs.
 * Of the others one a tenant and one an image, where they are of several: a tenant alone, by whatever he boots, does not
 * speak against the host.
 */
export function independent(failures: Iterable<Omit<Failure, "why">>): number {
  const [certain, tenants, images] = [new Set<string>(), new Set<string>(), new Set<string>()];
  for (const { vmId, tenant, image, fault } of failures) {
    if (fault === "host" || tenant === "") {
      certain.add(vmId);
      continue;
    }
    tenants.add(tenant);
    images.add(image);
  }
  const several = Math.min(tenants.size, images.size);
  return certain.size + (several > 1 ? several : 0);
}

/** Failures of different VMs, each VM's last one, as long as they count. */
export class RecentFailures {
  readonly #failures = new Map<string, Failure & { readonly atMs: number }>();

  add(failure: Failure, nowMs: number): void {
    this.#failures.delete(failure.vmId);
    this.#failures.set(failure.vmId, { ...failure, atMs: nowMs });
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > MOST_KEPT && oldest !== undefined) this.#failures.delete(oldest);
  }

  clear(): void {
    this.#failures.clear();
  }

  /** Those of the last `withinMs`; what is older than `forgetMs` is forgotten. */
  within(withinMs: number, forgetMs: number, nowMs: number): readonly Failure[] {
    for (const [vmId, { atMs }] of this.#failures) if (nowMs - atMs >= forgetMs) this.#failures.delete(vmId);
    return [...this.#failures.values()].filter(({ atMs }) => nowMs - atMs < withinMs);
  }

  get lastMs(): number {
    return Math.max(-Infinity, ...[...this.#failures.values()].map(({ atMs }) => atMs));
  }
}

/** Whether VMs can be started here, by what happened to those that were to be. */
export class StartFailures {
  readonly #limits: StartFailureLimits;
  readonly #failures = new RecentFailures();

  /** Before it there may have been failures that another agent saw: it was quiet only once it was so for long. */
  #watchedSinceMs: number;

  constructor(limits: StartFailureLimits, nowMs: number) {
    this.#limits = limits;
    this.#watchedSinceMs = nowMs;
  }

  failed(failure: Failure, nowMs: number): Verdict {
    this.#failures.add(failure, nowMs);
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
    const recent = this.#failures.within(withinMs, Math.max(withinMs, goodAfterMs), nowMs);
    const named = recent.slice(-MOST_NAMED).map(({ vmId, why }) => `${vmId} (${why})`);
    const against = independent(recent);
    const weighed =
      against === recent.length ? "" : `, ${against} of them independent of one tenant and one image`;
    const evidence =
      recent.length === 0
        ? `no VM failed to start within ${withinMs / 60_000} min`
        : `${recent.length} VMs failed to start within ${withinMs / 60_000} min${weighed}: ${named.join(", ")}`;
    if (against >= vms) return { kind: "bad", evidence };
    const lastMs = Math.max(this.#watchedSinceMs, this.#failures.lastMs);
    const isQuiet = nowMs - lastMs >= goodAfterMs;
    return { kind: isQuiet ? "good" : "between", evidence };
  }
}
