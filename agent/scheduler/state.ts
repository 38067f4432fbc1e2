import type { HostSnapshot, HostView } from "../host/host.ts";
import type { Clock } from "../kernel/clock.ts";
import { toSocleError, type SocleError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/log.ts";
import type { Service } from "../kernel/lifecycle/service.ts";
import type { Position } from "../state/records/position.ts";
import { isSameVm, type Vm, type VmView } from "../vm/model/vm.ts";
import type { Host } from "../gen/socle/v1/Host.ts";
import type { Vm as VmMessage } from "../gen/socle/v1/Vm.ts";
import { stateDigest } from "./digest.ts";

interface ReportedStateOptions {
  readonly vms: VmView;
  readonly host: HostView;
  readonly position: Position;
  readonly clock: Clock;
  /** Conversions to the contract's messages, which api/ provides. */
  readonly hostMessage: (snapshot: HostSnapshot, vms: readonly Vm[], complete: boolean) => Host;
  readonly vmMessage: (vm: Vm) => VmMessage;
  readonly log: Logger;
}

/** The changes from one generation to another. */
export interface StateChange {
  readonly host: Host | undefined;
  readonly changedVms: readonly VmMessage[];
  readonly removedVmIds: readonly string[];
}

interface Reported {
  readonly etag: string;
  readonly leases: Vm["leases"];
  readonly message: VmMessage;
  /** The generation that changed it. */
  readonly since: number;
}

/** Changes within this time become one generation. */
const settleMs = 50;
/** Number of remembered removals; before the oldest, only a full report helps. */
const maxRemoved = 4096;

/**
 * The state of this host for schedulers, without readings that change all the time. Each object is kept as of its last etag
 * change, with the generation of that: any delta is available, and a slow scheduler costs nothing.
 */
export class ReportedState implements Service {
  readonly name = "report";
  readonly #options: ReportedStateOptions;
  readonly #vms = new Map<string, Reported>();
  readonly #removed = new Map<string, number>();
  /** Removals of older generations are forgotten. */
  #completeSince = 0;
  #host: Host | undefined;
  #hostSince = 0;
  #digest = "";
  #failure: SocleError | undefined;

  constructor(options: ReportedStateOptions) {
    this.#options = options;
  }

  get generation(): number {
    return this.#options.position.generation;
  }

  /** Of the state at `generation`. */
  get digest(): string {
    return this.#digest;
  }

  /** Why the host's message cannot be made. Until it can, schedulers get the one before. */
  get failure(): SocleError | undefined {
    return this.#failure;
  }

  get host(): Host {
    return this.#host ?? this.#refreshed();
  }

  /** Follows the host's changes. */
  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    const { vms, host, clock } = this.#options;
    let isDue = false;
    const look = async (): Promise<void> => {
      await clock.sleep(settleMs, signal);
      isDue = false;
      this.refresh();
    };
    const each = async (changes: AsyncIterable<unknown>): Promise<void> => {
      for await (const _ of changes) {
        if (isDue) continue;
        isDue = true;
        look().catch(() => undefined); // only ever the signal
      }
    };
    const followed = [each(vms.subscribe(signal)), each(host.subscribe(signal))];
    this.refresh();
    ready();
    await Promise.all(followed);
  }

  /** Reads the host now; a change makes a new generation. */
  refresh(): void {
    const { vms, position, vmMessage } = this.#options;
    const next = position.generation + 1;
    const all = vms.all();
    let changed = false;
    const message = this.#hostNow(all);
    if (message?.etag !== this.#host?.etag) {
      this.#host = message;
      this.#hostSince = next;
      changed = true;
    }
    const seen = new Set<string>();
    for (const vm of all) {
      seen.add(vm.id);
      const before = this.#vms.get(vm.id);
      if (before !== undefined && isSameVm(before, vm)) continue;
      const { etag, leases } = vm;
      this.#vms.set(vm.id, { etag, leases, message: { ...vmMessage(vm), stats: null }, since: next });
      this.#removed.delete(vm.id);
      changed = true;
    }
    for (const id of this.#vms.keys()) {
      if (seen.has(id)) continue;
      this.#vms.delete(id);
      this.#removed.set(id, next);
      changed = true;
    }
    if (!changed) return;
    this.#forgetRemoved();
    const digested = [...this.#vms].map(([id, { etag }]) => ({ id, etag }));
    this.#digest = stateDigest(message?.etag ?? "", digested);
    position.bump();
  }

  /** The changes after a generation of this epoch; undefined when forgotten. */
  since(generation: number): StateChange | undefined {
    if (generation > this.generation || generation < this.#completeSince) return undefined;
    const changedVms = [...this.#vms.values()].filter(({ since }) => since > generation);
    const removed = [...this.#removed].filter(([, since]) => since > generation);
    return {
      host: this.#hostSince > generation ? this.host : undefined,
      changedVms: changedVms.map(({ message }) => message),
      removedVmIds: removed.map(([id]) => id),
    };
  }

  vmMessages(): readonly VmMessage[] {
    return [...this.#vms.values()].map(({ message }) => message);
  }

  /** A host that cannot be converted affects only the host's part of the report. */
  #hostNow(all: readonly Vm[]): Host | undefined {
    const { vms, host, hostMessage, log } = this.#options;
    try {
      const message = hostMessage(host.snapshot(), all, vms.complete);
      this.#failure = undefined;
      return message;
    } catch (thrown) {
      if (this.#failure === undefined) log.error({ err: thrown }, "the host's report cannot be made");
      this.#failure = toSocleError(thrown);
      return this.#host;
    }
  }

  #refreshed(): Host {
    this.refresh();
    if (this.#host === undefined) throw this.#failure ?? new Error("a refresh makes the host's message");
    return this.#host;
  }

  #forgetRemoved(): void {
    for (const [id, since] of this.#removed) {
      if (this.#removed.size <= maxRemoved) return;
      this.#removed.delete(id);
      this.#completeSince = since;
    }
  }
}
