import { EventEmitter } from "node:events";
import { Metadata, type ServiceDefinition } from "@grpc/grpc-js";
import { Admission } from "../../../agent/api/limits/admission.ts";
import { auditService } from "../../../agent/api/services/audit-service.ts";
import { AuditBudget } from "../../../agent/api/limits/audit-budget.ts";
import { CallAudit, type AuditRecorder } from "../../../agent/api/call-audit.ts";
import { Calls } from "../../../agent/api/calls.ts";
import type { ServiceDependencies } from "../../../agent/api/services/dependencies.ts";
import { ErrorEncoder } from "../../../agent/api/convert/errors.ts";
import { eventService } from "../../../agent/api/services/event-service.ts";
import { Health } from "../../../agent/api/services/health.ts";
import { guestService } from "../../../agent/api/services/guest-service.ts";
import { hostService } from "../../../agent/api/services/host-api.ts";
import { imageService } from "../../../agent/api/services/image-service.ts";
import { networkService } from "../../../agent/api/services/network-service.ts";
import { operationService } from "../../../agent/api/services/operation-service.ts";
import { Outbox, outboxBounds } from "../../../agent/api/limits/outbox.ts";
import { reflection } from "../../../agent/api/services/reflection.ts";
import { RequestShapes } from "../../../agent/api/limits/request-shapes.ts";
import { reservationService } from "../../../agent/api/services/reservation-service.ts";
import type { Role } from "../../../agent/contract/methods.ts";
import { TURN_MS } from "../../../agent/api/server.ts";
import { screenService } from "../../../agent/api/services/screen-service.ts";
import { backupService } from "../../../agent/api/services/backup-service.ts";
import { snapshotService } from "../../../agent/api/services/snapshot-service.ts";
import { storageService } from "../../../agent/api/services/storage-service.ts";
import { volumeChanges } from "../../../agent/api/services/volume-changes.ts";
import { trustService } from "../../../agent/api/services/trust-service.ts";
import { vmService } from "../../../agent/api/services/vm-service.ts";
import { configSchema } from "../../../agent/config/schema.ts";
import { systemClock as clock } from "../../../agent/kernel/clock.ts";
import { FairTurns } from "../../../agent/kernel/concurrency/fair-turns.ts";
import { silentLog } from "../../../agent/kernel/log.ts";
import { protos } from "./client.ts";

type Handler = (call: DirectCall, respond: (error: object | null, bytes?: Buffer) => void) => void;

const unlimited = { perSecond: 1e9, atOnce: 1e6 };
const limits = {
  read: unlimited,
  wait: unlimited,
  mutation: unlimited,
  stream: unlimited,
  control: unlimited,
};

/** The agent's services without their sockets: calls go straight to the handlers that gRPC would call. */
export class DirectCalls {
  readonly #outbox = new Outbox(outboxBounds, clock);
  /** Handlers by path. */
  readonly #methods = new Map<
    string,
    { readonly definition: ServiceDefinition[string]; readonly handler: Handler }
  >();
  readonly #role: () => Role;

  constructor(
    dependencies: ServiceDependencies,
    audit: AuditRecorder,
    {
      turns = new FairTurns(TURN_MS, () => performance.now()),
      readsAtOnce = unlimited.atOnce,
    }: { readonly turns?: FairTurns; readonly readsAtOnce?: number } = {},
  ) {
    let role: Role = "operator";
    this.#role = () => role;
    this.as = (next) => (role = next);
    const errors = new ErrorEncoder(protos);
    const calls = new Calls({
      errors,
      identify: () => ({ name: "caller", role: this.#role() }),
      admission: new Admission({ ...limits, read: { ...unlimited, atOnce: readsAtOnce } }, clock),
      outbox: this.#outbox,
      controlEpochs: dependencies.controlEpochs,
      audit: new CallAudit(audit, dependencies, {
        budget: new AuditBudget(1e9, clock),
        nowMs: () => clock.now(),
      }),
      people: {
        rules: configSchema.parse({}).people,
        verify: () => {
          throw new Error("no people in this test");
        },
        brokeGlass: () => undefined,
      },
      shapes: new RequestShapes(protos.descriptorSet),
      turns,
      changesRefused: () => undefined,
      isLocal: true,
      clock,
      log: silentLog,
    });
    for (const service of [
      { definition: protos.vms, methods: vmService(dependencies, errors) },
      { definition: protos.images, methods: imageService(dependencies, errors) },
      { definition: protos.screens, methods: screenService(dependencies, clock) },
      { definition: protos.snapshots, methods: snapshotService(dependencies, errors) },
      { definition: protos.backups, methods: backupService(dependencies, errors) },
      { definition: protos.guests, methods: guestService(dependencies) },
      { definition: protos.operations, methods: operationService(dependencies, errors) },
      { definition: protos.host, methods: hostService(dependencies, protos) },
      { definition: protos.reservations, methods: reservationService(dependencies) },
      { definition: protos.events, methods: eventService(dependencies) },
      { definition: protos.trust, methods: trustService(dependencies) },
      {
        definition: protos.storage,
        methods: { ...storageService(dependencies), ...volumeChanges(dependencies, errors) },
      },
      { definition: protos.networks, methods: networkService(dependencies) },
      { definition: protos.audit, methods: auditService(dependencies.audit) },
      { definition: protos.health, methods: new Health([]).methods() },
      { definition: protos.reflection, methods: reflection(protos.descriptorSet, []) },
    ]) {
      const definition: ServiceDefinition = service.definition;
      const addService = (_wired: unknown, handlers: object): void => {
        for (const [name, handler] of Object.entries(handlers) as [string, Handler][]) {
          const method = definition[name];
          if (method !== undefined) this.#methods.set(method.path, { definition: method, handler });
        }
      };
      calls.serve({ addService }, service);
    }
  }

  /** Stops the outbox timer, which keeps the process alive for a minute. */
  close(): void {
    this.#outbox.close();
  }

  /** The caller of the next calls. */
  readonly as: (role: Role) => void;

  /** The durations of all methods, ascending. */
  get paths(): string[] {
    return [...this.#methods.keys()].sort();
  }

  /**
   * A call that its caller cancels as soon as it was received. `answered` runs if it is answered all the
   * same.
   */
  giveUp(path: string, request: object, answered: () => void): void {
    const { definition, handler } = this.#method(path);
    const { requestSerialize, requestDeserialize } = definition;
    const received: unknown = requestDeserialize(requestSerialize(request));
    const call = new DirectCall(received, Infinity, answered, answered);
    handler(call, answered);
    call.call.stream.closed = true;
    call.call.stream.emit("close");
  }

  #method(path: string): { readonly definition: ServiceDefinition[string]; readonly handler: Handler } {
    const method = this.#methods.get(path);
    if (method === undefined) throw new Error(`no service has ${path}`);
    return method;
  }

  /** Resolves with the number of messages; rejects with the call's status. A stream is left after `messages`. */
  call(path: string, request: object, messages = Infinity): Promise<number> {
    const method = this.#method(path);
    const { requestSerialize, requestDeserialize, responseStream } = method.definition;
    return new Promise((resolve, reject) => {
      const call = new DirectCall(requestDeserialize(requestSerialize(request)), messages, resolve, reject);
      method.handler(call, (error) => {
        call.call.stream.emit("close");
        if (error === null) resolve(1);
        else reject(Object.assign(new Error(path), error));
      });
      if (responseStream) call.on("error", reject);
    });
  }
}

/** The parts of a grpc-js call that the handlers use. Its peer reads each message at once. */
class DirectCall extends EventEmitter {
  readonly metadata = new Metadata();
  readonly cancelled = false;
  readonly writableNeedDrain = false;
  readonly call = {
    stream: Object.assign(new EventEmitter(), { closed: false, destroyed: false, close: () => undefined }),
  };
  readonly request: unknown;
  readonly #most: number;
  readonly #over: (messages: number) => void;
  #written = 0;

  constructor(
    request: unknown,
    most: number,
    over: (messages: number) => void,
    failed: (why: Error) => void,
  ) {
    super();
    this.request = request;
    this.#most = most;
    this.#over = over;
    this.once("error", failed);
  }

  getPeer(): string {
    return "unix";
  }

  write(_bytes: Buffer, taken: () => void): boolean {
    this.#written += 1;
    queueMicrotask(taken);
    if (this.#written >= this.#most) this.#end();
    return true;
  }

  end(): void {
    this.#end();
  }

  /** A bidirectional stream. */
  async *iterator(): AsyncGenerator<unknown, void, undefined> {
    yield await Promise.resolve(this.request);
  }

  #end(): void {
    this.call.stream.emit("close");
    this.#over(this.#written);
  }
}
