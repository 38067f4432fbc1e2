import type { Clock } from "../../kernel/clock.ts";
import { toSocleError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/log.ts";
import {
  allDomainStatsAs,
  DomainControlState,
  domainGetControlInfo,
  DomainStatsTypes,
  ConnectGetAllDomainStatsFlags,
  type Domain,
  type DomainStatsLists,
  type Libvirt,
} from "../../libvirt/index.ts";
import { isActive } from "../hypervisor/domains.ts";
import { stateOf } from "../hypervisor/domain-state.ts";
import { MigrationWatch, type MigrationProgress } from "./migration-watch.ts";
import { Shapes } from "./stat-fields.ts";
import { RoundValues, SampledStats, type SampledAt } from "./stats.ts";
import type { VmStats } from "../model/vm.ts";

/** One domain as libvirt lists it. */
interface Listed {
  readonly dom: Domain;
  readonly seen: ReturnType<typeof stateOf>;
  /** Undefined if only states were requested. */
  readonly stats: VmStats | undefined;
  /** Its current size, from the bulk call; undefined if libvirt does not report it. Also for a stopped VM. */
  readonly size: { readonly vcpus: number | undefined; readonly memoryBytes: number | undefined };
  /** A running VM whose readings lack what libvirt reports of a responsive guest. */
  readonly isSuspect: boolean;
}

/** One domain as a round found it. */
export interface Sample extends Listed {
  /** Its QEMU does not answer libvirt: a call that needs its answer would block one of libvirt's workers. */
  readonly silent: boolean;
  /** Set during an outgoing migration. */
  readonly migration: MigrationProgress | undefined;
}

/** The result of a round, and when libvirt returned it. */
interface Round {
  readonly at: SampledAt;
  readonly samples: readonly Sample[];
  /** False if the round has only states: too many guests hang, or libvirt is slow. */
  readonly hasReadings: boolean;
}

interface Listing extends Pick<Round, "at" | "hasReadings"> {
  readonly listed: readonly Listed[];
}

/** The groups in use; each costs the daemon time (perf, iothread and dirtyrate are left out). */
const GROUPS =
  DomainStatsTypes.STATE |
  DomainStatsTypes.CPU_TOTAL |
  DomainStatsTypes.BALLOON |
  DomainStatsTypes.VCPU |
  DomainStatsTypes.INTERFACE |
  DomainStatsTypes.BLOCK;
/** Number of fields in the group STATE. */
const STATE_FIELDS = 2;
/** Only reported if libvirt could take the domain's job, so no other call waits for the guest. */
const NEEDS_JOB = "balloon.rss";
/** Timeout of a bulk call: a multiple of the last calls' durations, within these limits. */
const PATIENCE = { times: 4, firstMs: 2000, leastMs: 1000, mostMs: 8000 } as const;
const ATTEMPTS = 4;
/** A monitor that is busy for this long counts as unresponsive. Below the least timeout, so that it is found. */
const SILENT_AFTER_MS = 500;
/** Each unresponsive guest, and each call blocked on one, holds one of libvirt's 20 workers. This limits them. */
const MOST_HELD = 12;
const CONTROL_TIMEOUT_MS = 2000;

/**
 * Reads all domains at once. A hung guest blocks the first call that reaches it, which then holds the domain's job, so
 * that the next call skips the guest (NOWAIT). libvirt lists hung guests at once, even if its workers are blocked.
 */
export class Sampler {
  readonly migrations: MigrationWatch;
  readonly #libvirt: Pick<Libvirt, "call">;
  readonly #clock: Clock;
  readonly #log: Logger;
  #patienceMs: number = PATIENCE.firstMs;
  readonly #shapes = new Shapes();
  /** Number of values in the last round. */
  #valuesExpected = 0;
  #silent: ReadonlySet<string> = new Set();

  constructor({ libvirt, clock, log }: { libvirt: Pick<Libvirt, "call">; clock: Clock; log: Logger }) {
    this.#libvirt = libvirt;
    this.migrations = new MigrationWatch(libvirt);
    this.#clock = clock;
    this.#log = log;
  }

  /**
   * Lists every domain with its state, or with its readings too. States need no guest and return at once. Throws what
   * the bulk call throws.
   */
  async sample(what: "states" | "readings", signal: AbortSignal): Promise<Round> {
    const { at, listed, hasReadings } = await (what === "states" ? this.#states(signal) : this.#list(signal));
    const silent = new Set<string>();
    // A driver without readings (libvirt's test driver) has no guests that can hang.
    const suspects = listed.filter(
      ({ isSuspect, stats }) => isSuspect && (!hasReadings || stats !== undefined),
    );
    await Promise.all(
      suspects.map(async ({ dom }) => {
        if (await this.#isSilent(dom, signal)) silent.add(dom.uuid);
      }),
    );
    this.#logSilence(silent);
    this.#silent = silent;
    const migrations = await this.migrations.progress(silent, signal);
    const samples = listed.map((each) => {
      const { uuid } = each.dom;
      return { ...each, silent: silent.has(uuid), migration: migrations.get(uuid) };
    });
    return { at, samples, hasReadings };
  }

  /** With readings; without them if too many guests hang, since states need no guest. */
  async #list(signal: AbortSignal): Promise<Listing> {
    const attempts = Math.min(ATTEMPTS, MOST_HELD - this.#silent.size);
    for (let attempt = 1; attempt <= attempts; attempt += 1) {
      // The last attempt allows for a daemon that is slow as a whole.
      const timeoutMs = attempt < ATTEMPTS ? this.#patienceMs : PATIENCE.mostMs;
      const startMs = this.#clock.monotonicMs();
      try {
        const listing = await this.#bulk(GROUPS, timeoutMs, signal);
        this.#patienceMs = within(PATIENCE.times * (this.#clock.monotonicMs() - startMs));
        return { ...listing, hasReadings: true };
      } catch (thrown) {
        if (toSocleError(thrown).kind !== "timeout") throw thrown;
        this.#log.warn({ timeoutMs }, "a sampling round was delayed; retrying without the guests that hang");
      }
    }
    return await this.#states(signal);
  }

  async #states(signal: AbortSignal): Promise<Listing> {
    return { ...(await this.#bulk(DomainStatsTypes.STATE, PATIENCE.mostMs, signal)), hasReadings: false };
  }

  async #bulk(stats: number, timeoutMs: number, signal: AbortSignal): Promise<Omit<Listing, "hasReadings">> {
    const now = (): SampledAt => ({
      sampledAtMs: this.#clock.now(),
      sampledAtMonotonicMs: this.#clock.monotonicMs(),
    });
    let at: SampledAt | undefined;
    const values = new RoundValues(this.#valuesExpected);
    const procedure = allDomainStatsAs((record) => this.#taken(record, values, (at ??= now())));
    const args = { doms: [], stats, flags: ConnectGetAllDomainStatsFlags.NOWAIT };
    const options = { lane: "observation", timeoutMs, signal } as const;
    const { retStats: listed } = await this.#libvirt.call(procedure, args, options);
    this.#shapes.keep(new Set(listed.map(({ dom }) => dom.uuid)));
    this.#valuesExpected = values.total;
    return { at: at ?? now(), listed };
  }

  #taken({ dom, params }: DomainStatsLists, values: RoundValues, at: SampledAt): Listed {
    const shape = this.#shapes.of(dom, params);
    const { places } = shape.layout;
    const valueOf = (name: string): unknown => params.values[places.get(name) ?? -1];
    const seen = stateOf(Number(valueOf("state.state")), Number(valueOf("state.reason")));
    const numberOf = (name: string): number | undefined => {
      const value = valueOf(name);
      return typeof value === "number" ? value : undefined;
    };
    const memoryKib = numberOf("balloon.maximum");
    const hasReadings = params.fields.length > STATE_FIELDS;
    return {
      dom,
      seen,
      stats: hasReadings ? new SampledStats(shape, values.take(params.values), at) : undefined,
      size: {
        vcpus: numberOf("vcpu.current"),
        memoryBytes: memoryKib === undefined ? undefined : memoryKib * 1024,
      },
      isSuspect: !places.has(NEEDS_JOB) && isActive(seen),
    };
  }

  async #isSilent(dom: Domain, signal: AbortSignal): Promise<boolean> {
    const options = { lane: "observation", timeoutMs: CONTROL_TIMEOUT_MS, signal } as const;
    try {
      const control = await this.#libvirt.call(domainGetControlInfo, { dom, flags: 0 }, options);
      return control.state === DomainControlState.OCCUPIED && control.stateTime >= SILENT_AFTER_MS;
    } catch {
      return false; // It has ended meanwhile, or libvirt cannot be asked, which the next round finds.
    }
  }

  #logSilence(silent: ReadonlySet<string>): void {
    for (const vm of silent)
      if (!this.#silent.has(vm)) this.#log.warn({ vm }, "a guest does not answer libvirt any more");
    for (const vm of this.#silent)
      if (!silent.has(vm)) this.#log.info({ vm }, "the guest answers libvirt again");
  }
}

const within = (ms: number): number => Math.min(PATIENCE.mostMs, Math.max(PATIENCE.leastMs, ms));
