import { bad, good, type Verdict } from "./trigger.ts";

interface StartFailureLimits {
  /** Number of independent failures. */
  readonly vms: number;
  readonly withinMs: number;
  /** Good after this long without a failure, or after one success. */
  readonly goodAfterMs: number;
}

/** A VM that failed. */
export interface Failure {
  readonly vmId: string;
  /** Empty: the provider's own VM. */
  readonly tenant: string;
  /** The image that it boots. */
  readonly image: string;
  /** host: certainly the host's fault. unclear: the host's, or that of the tenant's image. */
  readonly fault: "host" | "unclear";
  readonly why: string;
}

const MOST_NAMED = 5;
/** Most failures kept; older ones are dropped. */
const MOST_KEPT = 1000;

/**
 * Number of failures that count against the host: all that are certainly the host's, and all of the provider's own VMs.
 * Of the others, one per tenant and one per image count, if several are affected. A single tenant, with any images,
 * does not count.
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

/** The last failure of each VM, while it counts. */
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

  /** Failures of the last `withinMs`; drops those older than `forgetMs`. */
  within(withinMs: number, forgetMs: number, nowMs: number): readonly Failure[] {
    for (const [vmId, { atMs }] of this.#failures) if (nowMs - atMs >= forgetMs) this.#failures.delete(vmId);
    return [...this.#failures.values()].filter(({ atMs }) => nowMs - atMs < withinMs);
  }

  get lastMs(): number {
    return Math.max(-Infinity, ...[...this.#failures.values()].map(({ atMs }) => atMs));
  }
}

/** Judges from start attempts whether VMs can start on this host. */
export class StartFailures {
  readonly #limits: StartFailureLimits;
  readonly #failures = new RecentFailures();

  /** Start of the quiet time. An earlier agent may have seen failures before it. */
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
    return good(`VM ${vmId} was started`);
  }

  /** The verdict at this time. */
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
    if (against >= vms) return bad(evidence);
    const lastMs = Math.max(this.#watchedSinceMs, this.#failures.lastMs);
    const isQuiet = nowMs - lastMs >= goodAfterMs;
    return { kind: isQuiet ? "good" : "between", evidence };
  }
}
