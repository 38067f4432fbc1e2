import type { Clock } from "../../kernel/clock.ts";
import { toSocleError } from "../../kernel/errors.ts";
import type { Service } from "../../kernel/lifecycle/service.ts";
import type { Logger } from "../../kernel/log.ts";
import { networkGetDhcpLeases, type Libvirt } from "../../libvirt/index.ts";
import type { NicLease } from "../model/vm.ts";
import type { VmTable } from "./vm-table.ts";

/** Leases have no events. A guest takes its lease while it boots, so they are read more often for a while after a start. */
const PERIOD_MS = 30_000;
const PERIOD_AFTER_START_MS = 5000;
const START_LASTS_MS = 60_000;
const ANSWER_MS = 5000;
/** A hung call occupies a libvirt worker: its network is skipped for this time. */
const REST_MS = 600_000;
const READS_AT_ONCE = 4;
/** libvirt is away or slow, which says nothing about the leases. */
const NO_ANSWER: ReadonlySet<string> = new Set(["unavailable", "exhausted", "cancelled", "timeout"]);

/** A network of this host. "unknown": as last seen. */
export interface LeasingNetwork {
  readonly name: string;
  readonly uuid?: string;
  readonly active: boolean;
  readonly dhcp?: boolean;
  readonly presence: "present" | "unknown";
}

interface LeaseWatchOptions {
  readonly libvirt: Pick<Libvirt, "call" | "events" | "status">;
  readonly networks: () => readonly LeasingNetwork[];
  readonly table: Pick<VmTable, "putLeases">;
  readonly clock: Clock;
  readonly log: Logger;
}

type TimedLease = NicLease & { readonly expiresAtMs: number };

/**
 * Keeps the addresses of VMs that libvirt's DHCP servers leased: one call per network that serves DHCP, none per VM. A
 * network that does not answer keeps its leases until they expire.
 */
export class LeaseWatch implements Service {
  readonly name = "leases";
  readonly #options: LeaseWatchOptions;
  /** By network. */
  readonly #leases = new Map<string, readonly TimedLease[]>();
  readonly #restUntilMs = new Map<string, number>();
  #startedAtMs = -Infinity;
  #readAtMs = -Infinity;
  #rest = new AbortController();

  constructor(options: LeaseWatchOptions) {
    this.#options = options;
  }

  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    const events = this.#options.libvirt.events.subscribe(signal);
    ready();
    await Promise.all([this.#followStarts(events), this.#keepReading(signal)]);
  }

  async #followStarts(events: ReturnType<Libvirt["events"]["subscribe"]>): Promise<void> {
    for await (const item of events) {
      const isStart =
        item.kind === "overflow" || (item.value.kind === "lifecycle" && item.value.event === "started");
      if (!isStart) continue;
      this.#startedAtMs = this.#options.clock.monotonicMs();
      this.#rest.abort();
    }
  }

  async #keepReading(signal: AbortSignal): Promise<void> {
    const { clock, libvirt, table } = this.#options;
    while (!signal.aborted) {
      if (libvirt.status.connected && this.#dueInMs() <= 0) {
        await this.#read(signal);
        this.#readAtMs = clock.monotonicMs();
      }
      table.putLeases(this.#valid());
      this.#rest = new AbortController();
      const ending = AbortSignal.any([signal, this.#rest.signal]);
      await clock.sleep(this.#restMs(), ending).catch(() => undefined);
    }
  }

  #dueInMs(): number {
    const nowMs = this.#options.clock.monotonicMs();
    const isBooting = nowMs - this.#startedAtMs < START_LASTS_MS;
    return this.#readAtMs + (isBooting ? PERIOD_AFTER_START_MS : PERIOD_MS) - nowMs;
  }

  /** Until the next read or expiry. */
  #restMs(): number {
    const nowMs = this.#options.clock.now();
    const expiries = [...this.#leases.values()].flat().map(({ expiresAtMs }) => expiresAtMs - nowMs);
    const nextMs = expiries.filter((ms) => ms > 0).reduce((least, ms) => Math.min(least, ms), PERIOD_MS);
    // While libvirt is away a read stays due.
    return Math.max(1000, Math.min(nextMs, this.#dueInMs()));
  }

  #valid(): NicLease[] {
    const nowMs = this.#options.clock.now();
    return [...this.#leases.values()]
      .flat()
      .flatMap(({ expiresAtMs, ...lease }) => (expiresAtMs > nowMs ? [lease] : []));
  }

  async #read(signal: AbortSignal): Promise<void> {
    const networks = new Map(this.#options.networks().map((network) => [network.name, network]));
    for (const name of this.#leases.keys()) if (!networks.has(name)) this.#leases.delete(name);
    const waiting = networks.values();
    const readSome = async (): Promise<void> => {
      for (const network of waiting) await this.#readOne(network, signal);
    };
    await Promise.all(Array.from({ length: READS_AT_ONCE }, readSome));
  }

  async #readOne({ name, uuid, active, dhcp, presence }: LeasingNetwork, signal: AbortSignal): Promise<void> {
    const { libvirt, clock, log } = this.#options;
    if (presence === "unknown" || uuid === undefined) return;
    if (!active || dhcp === false) {
      this.#leases.delete(name);
      return;
    }
    if (clock.monotonicMs() < (this.#restUntilMs.get(name) ?? -Infinity)) return;
    const args = { net: { name, uuid }, mac: null, needResults: true, flags: 0 };
    try {
      const settings = { signal, timeoutMs: ANSWER_MS, lane: "observation" } as const;
      const { leases } = await libvirt.call(networkGetDhcpLeases, args, settings);
      this.#restUntilMs.delete(name);
      const timed = leases.flatMap(({ mac, ipaddr: address, prefix: prefixLength, expirytime }) => {
        if (mac === null) return [];
        const expiresAtMs = expirytime === 0 ? Infinity : expirytime * 1000;
        return [{ network: name, mac: mac.toLowerCase(), address, prefixLength, expiresAtMs }];
      });
      this.#leases.set(name, timed);
    } catch (thrown) {
      const { kind } = toSocleError(thrown);
      if (kind === "timeout") this.#restUntilMs.set(name, clock.monotonicMs() + REST_MS);
      if (!NO_ANSWER.has(kind)) this.#leases.delete(name);
      if (!signal.aborted) log.debug({ network: name, err: thrown }, "leases could not be read");
    }
  }
}
