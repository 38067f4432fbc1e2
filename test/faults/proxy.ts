import { once } from "node:events";
import { chmod, rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import type { EventProcedure } from "../../agent/libvirt/rpc/procedure.ts";
import { ActiveRule, type Fault, type ProxyLane, type Rule } from "./fault.ts";
import { eventFrame } from "./frames.ts";
import { ProxyConnection, type Tap } from "./proxy-connection.ts";

export interface ProxyOptions {
  /** The socket for clients. */
  readonly socketPath: string;
  /** The real daemon's socket. */
  readonly daemonPath: string;
  /** As the daemon's max_client_requests: no more is read from a client with so many pending calls. */
  readonly maxRequests?: number;
  /** Created for each connection. */
  readonly tap?: () => Tap;
}

export interface ProxyStatistics {
  connections: number;
  calls: number;
  /** The maximum of pending calls on one connection. */
  mostInFlight: number;
  readonly faults: Partial<Record<Fault["kind"] | "flood", number>>;
}

/**
 * A proxy between a client and a real libvirt daemon that parses the passing frames and applies its rules. Without rules it is
 * transparent.
 */
export class FaultProxy {
  /** For the agent's configuration and virsh. */
  readonly uri: string;
  readonly statistics: ProxyStatistics = { connections: 0, calls: 0, mostInFlight: 0, faults: {} };
  readonly #options: ProxyOptions;
  readonly #server: Server;
  readonly #connections = new Set<ProxyConnection>();
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
      const connection = new ProxyConnection(client, options, {
        faultFor: (procedure, lane) => this.#faultFor(procedure, lane),
        inFlight: (calls) => {
          this.statistics.mostInFlight = Math.max(this.statistics.mostInFlight, calls);
        },
        closed: () => this.#connections.delete(connection),
        tap: options.tap?.(),
      });
      this.#connections.add(connection);
    });
  }

  /** Activates a rule; the first matching rule affects a call. */
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

  /** The number of held-back calls and replies. */
  get held(): number {
    return [...this.#connections].reduce((sum, { held }) => sum + held, 0);
  }

  /** Closes the connections of a lane, or all; held-back calls still reach libvirt. */
  drop(lane?: ProxyLane): void {
    for (const connection of this.#connections)
      if (lane === undefined || connection.lane === lane) connection.drop();
  }

  /** Closes the connections on which a client waits for a lost reply. */
  dropUnanswered(): void {
    for (const connection of this.#connections) if (connection.hasUnanswered) connection.drop();
  }

  /** Sends the same event `count` times to every registered client, as fast as they read. */
  flood<T>(event: EventProcedure<T>, body: T, count: number): void {
    const { bytes } = eventFrame(event, body);
    this.#count("flood", count);
    const listening = [...this.#connections].filter(({ lane }) => lane === "events");
    for (const connection of listening) {
      for (let left = count; left > 0; left -= 1000) {
        connection.toClient(Buffer.concat(Array.from({ length: Math.min(left, 1000) }, () => bytes)));
      }
    }
  }

  async stop(): Promise<void> {
    this.removeAll();
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const connection of this.#connections) connection.destroy();
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
