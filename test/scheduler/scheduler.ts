import { randomUUID } from "node:crypto";
import {
  Server,
  ServerCredentials,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerReadableStream,
} from "@grpc/grpc-js";
import type { AgentMessage__Output } from "../../agent/gen/socle/v1/AgentMessage.ts";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import type { ReportPart__Output } from "../../agent/gen/socle/v1/ReportPart.ts";
import type { ReportResponse } from "../../agent/gen/socle/v1/ReportResponse.ts";
import type { SchedulerMessage } from "../../agent/gen/socle/v1/SchedulerMessage.ts";
import type { SchedulerServiceHandlers } from "../../agent/gen/socle/v1/SchedulerService.ts";
import type { Welcome } from "../../agent/gen/socle/v1/Welcome.ts";
import type { VmSpec } from "../../agent/gen/socle/v1/VmSpec.ts";
import { callAgent, operationService, schedulerService, vmService } from "./contract.ts";
import { KnownHost } from "./host.ts";

export interface SchedulerOptions {
  /** 0: any free port. */
  readonly port?: number;
  readonly heartbeatMs?: number;
  readonly reconnectSpreadMs?: number;
  readonly controlEpoch?: number;
  /** The limit of hosts' messages; gRPC's default: 4 MiB. */
  readonly maxMessageBytes?: number;
  /** TLS; without it the scheduler listens only on loopback. */
  readonly credentials?: ServerCredentials;
  /** Called for every event, for logs and for tests that wait. */
  readonly onChange?: (host: KnownHost, what: string) => void;
}

/** Injected faults of a scheduler. */
export interface Faults {
  /** Deltas to drop, like a lossy network. */
  dropDeltas: number;
  /** Accepts sessions and sends nothing. */
  silent: boolean;
  /** Answers reports with another digest. */
  wrongReportDigest: boolean;
  /** Fields that replace those of each welcome. */
  welcome: Welcome;
  /** Follows each welcome at once. */
  afterWelcome: SchedulerMessage | undefined;
}

/** No connected, schedulable host has capacity now; a later retry may succeed. */
export class NoRoom extends Error {
  constructor() {
    super("no host has capacity for this VM");
  }
}

type Session = ServerDuplexStream<AgentMessage__Output, SchedulerMessage>;

const duration = (ms: number) => ({ seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1e6 });

/** A small scheduler: it keeps the hosts that report to it in memory, and can place a VM on one. */
export class Scheduler {
  readonly hosts = new Map<string, KnownHost>();
  readonly faults: Faults = {
    dropDeltas: 0,
    silent: false,
    wrongReportDigest: false,
    welcome: {},
    afterWelcome: undefined,
  };
  readonly port: number;
  readonly #options: SchedulerOptions;
  readonly #server: Server;
  readonly #sessions = new Map<string, Session>();

  static async start(options: SchedulerOptions = {}): Promise<Scheduler> {
    const { maxMessageBytes } = options;
    const server = new Server(
      maxMessageBytes === undefined ? {} : { "grpc.max_receive_message_length": maxMessageBytes },
    );
    const port = await new Promise<number>((resolve, reject) => {
      const address = `127.0.0.1:${options.port ?? 0}`;
      const credentials = options.credentials ?? ServerCredentials.createInsecure();
      server.bindAsync(address, credentials, (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      });
    });
    const scheduler = new Scheduler(server, port, options);
    const handlers: SchedulerServiceHandlers = {
      Session: (call) => scheduler.#session(call),
      Report: (call, answer) => scheduler.#report(call, answer),
    };
    server.addService(schedulerService, { ...handlers });
    return scheduler;
  }

  private constructor(server: Server, port: number, options: SchedulerOptions) {
    this.#server = server;
    this.port = port;
    this.#options = options;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Ends at once, like after a crash; agents notice and reconnect. */
  stop(): void {
    this.#server.forceShutdown();
  }

  /** Stops or resumes reading from a host. */
  stall(hostId: string, stalled: boolean): void {
    const session = this.#sessions.get(hostId);
    if (stalled) session?.pause();
    else session?.resume();
  }

  /** Requests a full report from a host. */
  resync(hostId: string, reason: string): void {
    this.#send(hostId, { resync: { reason } });
  }

  /** Tells a host to reconnect after a delay, and to another address if one is given. */
  reconnect(hostId: string, delayMs: number, address = ""): void {
    this.#send(hostId, { reconnect: { delay: duration(delayMs), address } });
  }

  /**
   * Creates a VM on the host with the most free memory among those with capacity. Resolves once the VM is created; throws
   * NoRoom, or the host's error.
   */
  async place(spec: VmSpec, timeoutMs = 120_000): Promise<{ host: KnownHost; operation: Operation__Output }> {
    const [host] = [...this.hosts.values()]
      .filter((each) => this.#canTake(each, spec))
      .sort((a, b) => b.available("memory") - a.available("memory"));
    const address = host?.hello?.agentAddress;
    if (host === undefined || address === undefined) throw new NoRoom();
    const request = { requestId: randomUUID(), spec };
    const begun = await callAgent(address, vmService.CreateVm, request, 10_000, this.#options.controlEpoch);
    const wait = { operationId: begun.operationId, timeout: duration(timeoutMs) };
    const operation = await callAgent(address, operationService.WaitOperation, wait, timeoutMs + 10_000);
    if (operation.state !== "STATE_SUCCEEDED") {
      throw new Error(`the host did not create the VM: ${operation.error?.message ?? operation.state}`);
    }
    return { host, operation };
  }

  #canTake(known: KnownHost, spec: VmSpec): boolean {
    const { host, hello, connected } = known;
    return (
      connected &&
      hello !== undefined &&
      hello.agentAddress !== "" &&
      host?.schedulingState === "LIFECYCLE_STATE_ACTIVE" &&
      host.health?.schedulable === "TRUTH_TRUE" &&
      known.available("cpu") >= (spec.vcpus ?? 0) &&
      known.available("memory") >= Number(spec.memoryBytes ?? 0)
    );
  }

  #session(call: Session): void {
    let known: KnownHost | undefined;
    call.on("data", (message: AgentMessage__Output) => {
      if (this.faults.silent) return;
      if (message.hello != null) {
        known = this.#known(message.hello.hostId);
        known.hello = message.hello;
        this.#welcome(known, call);
      } else if (known !== undefined) {
        this.#take(known, message, call);
      }
    });
    const end = (): void => {
      if (known !== undefined && this.#sessions.get(known.hostId) === call) {
        this.#sessions.delete(known.hostId);
        known.connected = false;
        this.#log(known, "disconnected");
      }
    };
    call.on("end", () => {
      end();
      call.end();
    });
    call.on("cancelled", end);
    call.on("error", end);
  }

  #report(
    call: ServerReadableStream<ReportPart__Output, ReportResponse>,
    answer: sendUnaryData<ReportResponse>,
  ): void {
    const parts: ReportPart__Output[] = [];
    call.on("data", (part: ReportPart__Output) => {
      parts.push(part);
      if (!part.last) return;
      const known = this.#known(part.hostId);
      known.applyReport(parts);
      const digest = this.faults.wrongReportDigest ? "0".repeat(64) : known.digest;
      answer(null, { digest, generation: known.generation });
      this.#log(known, "report");
    });
    call.on("error", () => undefined);
  }

  #welcome(known: KnownHost, call: Session): void {
    const { heartbeatMs = 1000, reconnectSpreadMs = 1000, controlEpoch = 1 } = this.#options;
    this.#sessions.set(known.hostId, call);
    known.connected = true;
    known.sessions += 1;
    known.goodbye = undefined;
    call.write({
      welcome: {
        knownDigest: known.digest,
        knownGeneration: known.generation,
        knownAgentEpoch: known.agentEpoch,
        knownEventSequence: known.eventSequence,
        heartbeatInterval: duration(heartbeatMs),
        reconnectSpread: duration(reconnectSpreadMs),
        controlEpoch,
        ...this.faults.welcome,
      },
    });
    if (this.faults.afterWelcome !== undefined) call.write(this.faults.afterWelcome);
    // The same state from another start of the agent, with other generations.
    const position = known.hello?.position;
    if (position != null && known.hello?.digest === known.digest) {
      known.agentEpoch = position.agentEpoch;
      known.generation = position.generation;
    }
    this.#log(known, "connected");
  }

  #take(known: KnownHost, message: AgentMessage__Output, call: Session): void {
    if (message.delta != null) {
      if (this.faults.dropDeltas > 0) {
        this.faults.dropDeltas -= 1;
        this.#log(known, "delta dropped");
        return;
      }
      if (known.applyDelta(message.delta)) this.#ack(known, call);
      else this.#mismatch(known, "a delta does not follow the held state");
      this.#log(known, "delta");
    } else if (message.heartbeat != null) {
      known.heartbeats += 1;
      const { generation, digest } = message.heartbeat;
      if (digest !== "" && generation >= known.generation && digest !== known.digest) {
        this.#mismatch(known, "digests differ");
      }
      this.#log(known, "heartbeat");
    } else if (message.events != null) {
      for (const event of message.events.events) {
        known.applyEvent(event);
        this.#log(known, "event");
      }
      this.#ack(known, call);
    } else if (message.goodbye != null) {
      known.goodbye = message.goodbye.reason;
      this.#log(known, "goodbye");
    }
  }

  #mismatch(known: KnownHost, reason: string): void {
    known.mismatches += 1;
    this.resync(known.hostId, reason);
    this.#log(known, "mismatch");
  }

  #ack({ generation, eventSequence }: KnownHost, call: Session): void {
    call.write({ ack: { generation, eventSequence } });
  }

  #send(hostId: string, message: SchedulerMessage): void {
    this.#sessions.get(hostId)?.write(message);
  }

  #known(hostId: string): KnownHost {
    const known = this.hosts.get(hostId) ?? new KnownHost(hostId);
    this.hosts.set(hostId, known);
    return known;
  }

  #log(host: KnownHost, what: string): void {
    this.#options.onChange?.(host, what);
  }
}
