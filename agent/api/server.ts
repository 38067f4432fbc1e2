import { setImmediate as nextTurn } from "node:timers/promises";
import { Server, ServerCredentials, type ServerOptions } from "@grpc/grpc-js";
import type { Config } from "../config/schema.ts";
import type { Clock } from "../kernel/clock.ts";
import { SocleError } from "../kernel/errors.ts";
import { FairTurns } from "../kernel/concurrency/fair-turns.ts";
import type { Logger } from "../kernel/log.ts";
import type { Service } from "../kernel/lifecycle/service.ts";
import type { Trust } from "../trust/index.ts";
import { AuditBudget } from "./limits/audit-budget.ts";
import { auditService } from "./services/audit-service.ts";
import { Admission, type Limits } from "./limits/admission.ts";
import { CallAudit, type AuditRecorder } from "./call-audit.ts";
import { ConnectionLimits } from "./connection-limits.ts";
import { Calls, type Implementable } from "./calls.ts";
import { backupService } from "./services/backup-service.ts";
import type { ServiceDependencies } from "./services/dependencies.ts";
import { ErrorEncoder } from "./convert/errors.ts";
import { eventService } from "./services/event-service.ts";
import { Health } from "./services/health.ts";
import { guestService } from "./services/guest-service.ts";
import { hostService } from "./services/host-api.ts";
import { identifyOnLoopback, identifyOnSocket, noCaller, type Identify } from "./auth/identity.ts";
import { listenOnLoopback, listenOnSocket, type Listener } from "./listener.ts";
import { imageService } from "./services/image-service.ts";
import { networkService } from "./services/network-service.ts";
import { operationService } from "./services/operation-service.ts";
import { Outbox, outboxBounds, type OutboxBounds } from "./limits/outbox.ts";
import type { BrokenGlass, PersonVerifier } from "./auth/people.ts";
import type { Contract } from "../contract/load.ts";
import { reflection } from "./services/reflection.ts";
import { RequestShapes } from "./limits/request-shapes.ts";
import { reservationService } from "./services/reservation-service.ts";
import { screenService } from "./services/screen-service.ts";
import { snapshotService } from "./services/snapshot-service.ts";
import { ownership } from "./services/ownership.ts";
import { storageService } from "./services/storage-service.ts";
import { volumeChanges } from "./services/volume-changes.ts";
import { listenOnTls, type TlsListener } from "./tls-listener.ts";
import { trustService } from "./services/trust-service.ts";
import { vmService } from "./services/vm-service.ts";
import { aborted, within } from "../kernel/concurrency/deadline.ts";

interface ApiServerOptions {
  readonly config: Config["api"];
  readonly protos: Contract;
  readonly dependencies: ServiceDependencies;
  /** Authentication of TCP callers; without required trust, only loopback is allowed. */
  readonly trust: Trust;
  /** Records each mutation and each refusal. */
  readonly audit: AuditRecorder;
  /** Identifies the person behind a caller, and who needs one. */
  readonly people: PersonVerifier;
  readonly clock: Clock;
  readonly log: Logger;
  /** Time for clients to read pending data at stop, in milliseconds. */
  readonly stopTimeoutMs?: number;
  /** Replaces the default bounds of unread answers. */
  readonly outbox?: Partial<OutboxBounds>;
}

const baseOptions: ServerOptions = {
  "grpc.keepalive_time_ms": 20_000,
  "grpc.keepalive_timeout_ms": 10_000,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc.max_receive_message_length": 256 * 1024,
  "grpc.enable_channelz": 0,
};
// Not on the unix socket: it would end an operator's console after an hour.
const connectionAge: ServerOptions = {
  "grpc.max_connection_age_ms": 3_600_000,
  "grpc.max_connection_age_grace_ms": 30_000,
};

/** Work of unary calls in one turn of the event loop; the next requests are read in between. */
export const TURN_MS = 1;

interface Front {
  readonly calls: Calls;
  readonly server: Server;
  readonly listener: Listener;
}

/** The gRPC API: always on the unix socket; on TCP where configured, by mutual TLS or on loopback. */
export class ApiServer implements Service {
  readonly name = "api";
  readonly #options: ApiServerOptions;
  readonly #log: Logger;
  readonly #errors: ErrorEncoder;
  readonly #services: readonly Implementable[];
  readonly #health: Health;
  readonly #admission: Admission;
  readonly #outbox: Outbox;
  readonly #auditBudget: AuditBudget;
  readonly #shapes: RequestShapes;
  readonly #turns: FairTurns;
  /** By listener. */
  readonly #places: { readonly unix: ConnectionLimits; readonly tcp: ConnectionLimits };
  #tcpPort: number | undefined;
  #brokenGlass = 0;

  constructor(options: ApiServerOptions) {
    const { protos, dependencies, config, clock, audit } = options;
    this.#options = options;
    const log = options.log.child({ component: "api" });
    this.#log = log;
    this.#places = {
      unix: new ConnectionLimits({ callers: "one", audit, log }),
      tcp: new ConnectionLimits({ callers: "many", audit, log }),
    };
    this.#errors = new ErrorEncoder(protos, ownership(dependencies));
    this.#admission = new Admission(limitsOf(config.limits), clock);
    this.#auditBudget = new AuditBudget(config.limits.failuresPerSecond, clock);
    this.#turns = new FairTurns(TURN_MS, () => clock.monotonicMs());
    this.#shapes = new RequestShapes(protos.descriptorSet);
    this.#outbox = new Outbox({ ...outboxBounds, ...options.outbox }, clock);
    const services = [
      { definition: protos.vms, methods: vmService(dependencies, this.#errors) },
      { definition: protos.images, methods: imageService(dependencies, this.#errors) },
      { definition: protos.screens, methods: screenService(dependencies, clock) },
      { definition: protos.snapshots, methods: snapshotService(dependencies, this.#errors) },
      { definition: protos.backups, methods: backupService(dependencies, this.#errors) },
      { definition: protos.guests, methods: guestService(dependencies) },
      { definition: protos.operations, methods: operationService(dependencies, this.#errors) },
      { definition: protos.host, methods: hostService(dependencies, protos) },
      { definition: protos.reservations, methods: reservationService(dependencies) },
      { definition: protos.events, methods: eventService(dependencies) },
      { definition: protos.trust, methods: trustService(dependencies) },
      {
        definition: protos.storage,
        methods: { ...storageService(dependencies), ...volumeChanges(dependencies, this.#errors) },
      },
      { definition: protos.networks, methods: networkService(dependencies) },
      { definition: protos.audit, methods: auditService(dependencies.audit) },
    ];
    this.#health = new Health(services.map(({ definition }) => nameOf(definition)));
    this.#services = [...services, { definition: protos.health, methods: this.#health.methods() }];
  }

  /** The TCP port it listens on, once it is ready; undefined without TCP. */
  get tcpPort(): number | undefined {
    return this.#tcpPort;
  }

  /** For metrics: calls open now, and refused since the start. */
  get callCounts(): Admission["counts"] {
    return this.#admission.counts;
  }

  /** Unread answers. */
  get answerCounts(): Outbox["counts"] {
    return this.#outbox.counts;
  }

  /** Connections, by listener. */
  get connectionCounts(): readonly {
    readonly listener: string;
    readonly open: number;
    readonly refused: number;
  }[] {
    return Object.entries(this.#places).map(([listener, { open, refused }]) => ({ listener, open, refused }));
  }

  /** For metrics: accepted break-glass mutations. */
  get brokenGlass(): number {
    return this.#brokenGlass;
  }

  /** The health service's status: NOT_SERVING until set, and again from the stop on. */
  setServing(serving: boolean): void {
    this.#health.setServing(serving);
  }

  /** Throws as listener.ts when an address cannot be bound. */
  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    const { config } = this.#options;
    const fronts: Front[] = [];
    try {
      const onSocket = { identify: identifyOnSocket, isLocal: true, hasReflection: true, age: {} };
      fronts.push(
        await this.#open(onSocket, (hand) => listenOnSocket(config.socket, this.#places.unix, hand)),
      );
      this.#log.info({ socket: config.socket }, "listening");
      const { listen } = config;
      if (listen !== null) {
        const front = await this.#openTcp(listen);
        fronts.push(front);
        this.#tcpPort = front.listener.port;
        this.#log.info({ address: listen, port: front.listener.port }, "listening");
      }
      ready();
      await aborted(signal);
    } finally {
      this.#health.setServing(false);
      await nextTurn(); // health watchers get it before their stream ends
      await Promise.all(fronts.map((front) => this.#close(front)));
      this.#outbox.close();
    }
  }

  async #openTcp(address: string): Promise<Front> {
    const { config, trust, clock } = this.#options;
    const places = this.#places.tcp;
    const kind = { isLocal: false, hasReflection: config.reflection, age: connectionAge };
    if (!trust.isRequired) {
      const open = { ...kind, identify: identifyOnLoopback };
      return await this.#open(open, (hand) => listenOnLoopback(address, places, hand));
    }
    let listener: TlsListener | undefined;
    const identify: Identify = (call) => listener?.callerOf(call.getPeer()) ?? noCaller;
    return await this.#open({ ...kind, identify }, async (onConnection) => {
      listener = await listenOnTls(address, { trust, places, clock, log: this.#log, onConnection });
      return listener;
    });
  }

  async #open(
    kind: { identify: Identify; isLocal: boolean; hasReflection: boolean; age: ServerOptions },
    listen: (hand: (socket: Parameters<Injector["injectConnection"]>[0]) => void) => Promise<Listener>,
  ): Promise<Front> {
    const { config, protos, dependencies, trust, audit, people, clock } = this.#options;
    const calls = new Calls({
      errors: this.#errors,
      identify: kind.identify,
      admission: this.#admission,
      outbox: this.#outbox,
      controlEpochs: dependencies.controlEpochs,
      audit: new CallAudit(audit, dependencies, { budget: this.#auditBudget, nowMs: () => clock.now() }),
      people: { ...people, brokeGlass: (use) => this.#publishBrokenGlass(use) },
      shapes: this.#shapes,
      turns: this.#turns,
      isLocal: kind.isLocal,
      // Without it, revoked certificates are unknown.
      changesRefused: () => trust.rolledBack,
      clock,
      log: this.#log,
    });
    const server = new Server({
      ...baseOptions,
      ...kind.age,
      "grpc.max_concurrent_streams": config.maxConcurrentStreams,
    });
    const services = [...this.#services];
    if (kind.hasReflection) {
      const names = [...services.map(({ definition }) => nameOf(definition)), nameOf(protos.reflection)];
      services.push({ definition: protos.reflection, methods: reflection(protos.descriptorSet, names) });
    }
    for (const service of services) calls.serve(server, service);
    const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
    const listener = await listen((socket) => injector.injectConnection(socket));
    return { calls, server, listener };
  }

  #publishBrokenGlass(use: BrokenGlass): void {
    this.#brokenGlass += 1;
    this.#log.warn(use, "break-glass: a change without a person's token");
    this.#options.people.brokeGlass(use);
  }

  /** Stops accepting, sends GOAWAY, ends streams and waits; what is left at the deadline is cut. */
  async #close({ calls, server, listener }: Front): Promise<void> {
    listener.close();
    const finished = new Promise<void>((resolve) => {
      server.tryShutdown(() => resolve());
    });
    const message = "the agent is stopping; reconnect in a moment";
    calls.stop(new SocleError("unavailable", "AGENT_STOPPING", message, { details: { retryAfterMs: 1000 } }));
    await within(this.#options.clock, this.#options.stopTimeoutMs ?? 2000, finished);
    server.forceShutdown();
  }
}

type Injector = ReturnType<Server["createConnectionInjector"]>;

const limitsOf = (config: Config["api"]["limits"]): Limits => ({
  read: { perSecond: config.readsPerSecond, atOnce: 1024 },
  wait: { perSecond: config.readsPerSecond, atOnce: config.waits },
  mutation: { perSecond: config.mutationsPerSecond, atOnce: 1024 },
  stream: { perSecond: config.streamsPerSecond, atOnce: config.streams },
  control: { perSecond: config.controlsPerSecond, atOnce: 256 },
});

/** The full name of a service, from the path of one of its methods: `/package.Service/Method`. */
const nameOf = (definition: Implementable["definition"]): string =>
  Object.values(definition)[0]?.path.split("/")[1] ?? "";
