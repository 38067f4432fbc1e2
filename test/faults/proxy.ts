import { once } from "node:events";
import { chmod, rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import type { EventProcedure } from "../../agent/libvirt/rpc/procedure.ts";
import { ActiveRule, type Fault, type ProxyLane, type Rule } from "./fault.ts";
import { eventFrame } from "./frames.ts";
import { Passage, type Tap } from "./passage.ts";

export interface ProxyOptions {
  /** Where clients connect. */
  readonly socketPath: string;
  /** The real daemon's socket. */
  readonly daemonPath: string;
  /** As the daemon's max_client_requests: nothing more is read from a client that waits for so many answers. */
  readonly maxRequests?: number;
  /** Made for each connection. */
  readonly tap?: () => Tap;
}

export interface ProxyStatistics {
  connections: number;
  calls: number;
  /** Most calls of one connection that waited for their answer at the same time. */
  mostInFlight: number;
  readonly faults: Partial<Record<Fault["kind"] | "flood", number>>;
}

/**
 * Stands between a client and a real libvirt daemon, understands the frames that pass, and does to them what its rules
 * say. Without rules nobody notices it.
 */
export class FaultProxy {
  /** For the agent's configuration and virsh alike. */
  readonly uri: string;
  readonly statistics: ProxyStatistics = { connections: 0, calls: 0, mostInFlight: 0, faults: {} };
  readonly #options: ProxyOptions;
  readonly #server: Server;
  readonly #passages = new Set<Passage>();
  readonly #rules = new Set<ActiveRule>();

  static async start(options: ProxyOptions): Promise<FaultProxy> {
    const proxy = new FaultProxy(options);
    await rm(options.socketPath, { force: true });
    proxy.#server.listen(options.socketPath);
    await once(proxy.#server, "listening");
    await chmod(options.socketPath, 0o666);
    return proxy;
  }

  private constructor(options: ProxyOptions) {
    this.#options = options;
    this.uri = `qemu:///system?socket=${options.socketPath}`;
    this.#server = createServer((client) => {
      this.statistics.connections += 1;
      const passage = new Passage(client, options, {
        faultFor: (procedure, lane) => this.#faultFor(procedure, lane),
        inFlight: (calls) => {
          this.statistics.mostInFlight = Math.max(this.statistics.mostInFlight, calls);
        },
        closed: () => this.#passages.delete(passage),
        tap: options.tap?.(),
      });
      this.#passages.add(passage);
    });
  }

  /** Puts a rule in force; the first that fits a call strikes it. */
  add(rule: Rule): ActiveRule {
    const active = new ActiveRule(rule);
    this.#rules.add(active);
    return active;
  }

  remove(active: ActiveRule): void {
    this.#rules.delete(active);
  }

  removeAll(): void {
    this.#rules.clear();
  }

  /** Calls and answers that it still holds back. */
  get held(): number {
    return [...this.#passages].reduce((sum, { held }) => sum + held, 0);
  }

  /** Ends the connections of a lane, or all: what is held back on them still reaches libvirt. */
  drop(lane?: ProxyLane): void {
    for (const passage of this.#passages) if (lane === undefined || passage.lane === lane) passage.drop();
  }

  /** Ends the connections on which a client waits for an answer that will not come. */
  dropUnanswered(): void {
    for (const passage of this.#passages) if (passage.hasUnanswered) passage.drop();
  }

  /** Sends the same event `count` times to whoever registered for events, as fast as it is taken. */
  flood<T>(event: EventProcedure<T>, body: T, count: number): void {
    const { bytes } = eventFrame(event, body);
    this.#count("flood", count);
    const listening = [...this.#passages].filter(({ lane }) => lane === "events");
    for (const passage of listening) {
      for (let left = count; left > 0; left -= 1000) {
        passage.toClient(Buffer.concat(Array.from({ length: Math.min(left, 1000) }, () => bytes)));
      }
    }
  }

  async stop(): Promise<void> {
    this.removeAll();
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const passage of this.#passages) passage.destroy();
    await closed;
    await rm(this.#options.socketPath, { force: true });
  }

  #faultFor(procedure: number, lane: ProxyLane): Fault | undefined {
    this.statistics.calls += 1;
    for (const active of this.#rules) {
      if (!active.strikes(procedure, lane)) continue;
      this.#count(active.rule.fault.kind, 1);
      return active.rule.fault;
    }
    return undefined;
  }

  #count(kind: Fault["kind"] | "flood", by: number): void {
    const { faults } = this.statistics;
    faults[kind] = (faults[kind] ?? 0) + by;
  }
}
