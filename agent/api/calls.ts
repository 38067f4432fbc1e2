import {
  type Metadata,
  type sendUnaryData,
  type Server,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { abortReason, type Clock } from "../kernel/clock.ts";
import { isSocleError, type SocleError, toSocleError } from "../kernel/errors.ts";
import type { FairTurns } from "../kernel/concurrency/fair-turns.ts";
import type { Logger } from "../kernel/log.ts";
import type { Slice } from "../kernel/concurrency/slice.ts";
import { methods as rows, type CallClass, type Method } from "../contract/methods.ts";
import type { Admission } from "./limits/admission.ts";
import { authorize } from "./auth/authorize.ts";
import { actorOf, type AdmittedCall, type CallAudit } from "./call-audit.ts";
import { CallLog, subjectOf } from "./call-log.ts";
import { again, firstOf, readAll, StreamWriter } from "./call-streams.ts";
import {
  checkControlEpoch,
  enforceControlEpoch,
  type ControlEpochs,
  type FencedCall,
} from "./auth/control-epoch.ts";
import { encoded } from "./limits/encodings.ts";
import type { ErrorEncoder } from "./convert/errors.ts";
import type { BidiMethod, ServerStreamMethod, UnaryMethod } from "./services/handler.ts";
import type { Identify } from "./auth/identity.ts";
import { LiveCall, type ServerCall } from "./live-call.ts";
import type { Outbox } from "./limits/outbox.ts";
import { actingCaller, type PersonVerifier } from "./auth/people.ts";
import type { RequestShapes } from "./limits/request-shapes.ts";
import { Malformed, requestOf, wired } from "./wire.ts";

interface CallsOptions {
  readonly errors: ErrorEncoder;
  readonly identify: Identify;
  readonly admission: Admission;
  readonly outbox: Outbox;
  readonly controlEpochs: ControlEpochs;
  readonly audit: CallAudit;
  readonly people: PersonVerifier;
  readonly shapes: RequestShapes;
  /** Shared by all listeners. */
  readonly turns: FairTurns;
  /** Whether the listener is the host's own unix socket. */
  readonly isLocal: boolean;
  /** Why changes over the network are refused. */
  readonly changesRefused: () => SocleError | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A service of the contract and its implementation (`Methods` of its Handlers). */
export interface Implementable {
  readonly definition: ServiceDefinition;
  readonly methods: Readonly<Record<string, (request: never, context: never) => unknown>>;
}

interface Route {
  readonly path: string;
  readonly method: Method;
  readonly encode: (response: unknown, slice: () => Slice) => Buffer | Promise<Buffer>;
}

/** Runs methods as grpc-js handlers. Every exception becomes a status. */
export class Calls {
  readonly #options: CallsOptions;
  readonly #changesRefused: () => SocleError | undefined;
  readonly #log: CallLog;
  /** Long calls: streams, and calls that use their signal. */
  readonly #lasting = new Set<LiveCall>();
  #stopReason: SocleError | undefined;

  constructor(options: CallsOptions) {
    this.#options = options;
    this.#changesRefused = options.isLocal ? () => undefined : options.changesRefused;
    this.#log = new CallLog(options.log, options.clock);
  }

  /** Adds a service to a grpc-js server. Throws when a method has no implementation or no row in contract/methods.ts. */
  serve(server: Pick<Server, "addService">, { definition, methods }: Implementable): void {
    const implementation: Record<string, unknown> = {};
    for (const [name, { path, requestStream, responseStream, responseSerialize }] of Object.entries(
      definition,
    )) {
      const run: unknown = methods[name];
      const method = rows[path];
      if (run === undefined || method === undefined)
        throw new Error(
          `${path} has no ${run === undefined ? "implementation" : "row in contract/methods.ts"}`,
        );
      const encode: Route["encode"] = (response, slice) =>
        encoded(response as object, responseSerialize, slice);
      const route = { path, method, encode };
      // `Methods` has typed each of them by the contract.
      if (requestStream) implementation[name] = this.#bidi(route, run as BidiMethod<unknown, unknown>);
      else if (responseStream)
        implementation[name] = this.#serverStream(route, run as ServerStreamMethod<unknown, unknown>);
      else implementation[name] = this.#unary(route, run as UnaryMethod<unknown, unknown>);
    }
    // grpc-js leaves its implementations untyped.
    server.addService(
      wired(definition, this.#options.shapes),
      implementation as UntypedServiceImplementation,
    );
  }

  /** Ends streams and waiting calls with `reason`; the others answer within a moment. */
  stop(reason: SocleError): void {
    this.#stopReason = reason;
    for (const live of this.#lasting) live.end(reason);
  }

  #unary<Request>(route: Route, run: UnaryMethod<Request, unknown>) {
    const { class: kind, audit } = route.method;
    const changes = audit !== undefined;
    return (call: ServerUnaryCall<Request | Malformed, unknown>, respond: sendUnaryData<unknown>): void => {
      const live = this.#begin(route, call);
      const received = call.request;
      const request = received instanceof Malformed ? undefined : received;
      live.request = request;
      let admitted: AdmittedCall | undefined;
      const isWanted = (): boolean => changes || !live.isGone;
      let finish = (): void => undefined;
      const succeed = (response: unknown): void => {
        const bytes = route.encode(response, () => live.slice());
        if (bytes instanceof Promise) bytes.then((whole) => send(response, whole)).catch(fail);
        else send(response, bytes);
      };
      const send = (response: unknown, bytes: Buffer): void => {
        admitted?.ended(response);
        // An unread answer is held until its call is reset. Parallel calls share the bound; a mutation has already taken effect.
        if (!changes) this.#requireRoom(live, kind);
        live.holds(this.#options.outbox.hold(live.account, bytes.length, () => live.reset()));
        respond(null, bytes);
        finish();
        this.#log.answered(live, changes, request);
      };
      const fail = (thrown: unknown): void => {
        this.#auditFailure(live, { changes, admitted, request, thrown });
        const error = this.#options.errors.encode(thrown, live);
        respond(error.status);
        finish();
        this.#log.answered(live, changes, request, error);
      };
      const answer = (): void => {
        this.#requireRoom(live, kind);
        this.#identifyPerson(live, call.metadata, changes);
        authorize(live.caller, route.path, route.method, this.#options.isLocal);
        const decoded = requestOf(received);
        const fenced = { caller: live.caller, metadata: call.metadata, changes };
        checkControlEpoch(this.#options.controlEpochs, fenced);
        const response = changes
          ? this.#admit(live, decoded, kind).then(async (admission) => {
              admitted = admission;
              await this.#enforceEpoch(live, fenced);
              // Many calls are admitted together, by one write to the audit log.
              return await this.#inTurn(live.account, () => {
                // Another scheduler may take over before the turn comes.
                checkControlEpoch(this.#options.controlEpochs, fenced);
                return run(decoded, live);
              });
            })
          : run(decoded, live);
        if (!(response instanceof Promise)) succeed(response);
        else
          response
            .then((made) => this.#inTurn(live.account, () => (isWanted() ? succeed(made) : finish())))
            .catch(fail);
      };
      try {
        const leave = this.#options.admission.enter(live.account, kind);
        // A mutation that hangs must not hold the permit: stops and health checks share its class.
        if (kind === "read" || kind === "wait") finish = live.holdsPlace(leave);
        else live.holds(leave);
      } catch (thrown) {
        fail(thrown);
        return;
      }
      this.#options.turns.run(live.account, () => {
        try {
          if (isWanted()) answer();
          else finish();
        } catch (thrown) {
          fail(thrown);
        }
      });
    };
  }

  /** Runs the synchronous part of `work` in the account's turn. */
  #inTurn(account: string, work: () => unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#options.turns.run(account, () => {
        try {
          resolve(work());
        } catch (thrown) {
          reject(toSocleError(thrown));
        }
      });
    });
  }

  #serverStream<Request>(route: Route, run: ServerStreamMethod<Request, unknown>) {
    return (call: ServerWritableStream<Request | Malformed, Buffer>): void => {
      void this.#stream(call, route, async (live) => {
        const request = requestOf(call.request);
        live.request = request;
        if (route.method.audit === undefined) return { responses: run(request, live) };
        const admitted = await this.#admit(live, request, "stream");
        return { admitted, responses: run(request, live) };
      });
    };
  }

  #bidi<Request>(route: Route, run: BidiMethod<Request, unknown>) {
    return (call: ServerDuplexStream<Request | Malformed, Buffer>): void => {
      void this.#stream(call, route, async (live) => {
        const requests = readAll(call, live.signal);
        const first = await firstOf(requests, this.#options.clock, live.signal);
        live.request = first.value;
        if (route.method.audit === undefined) return { responses: run(again(first, requests), live) };
        const admitted = await this.#admit(live, first.value, "stream");
        return { admitted, responses: run(again(first, requests), live) };
      });
    };
  }

  async #stream(
    call: ServerWritableStream<unknown, Buffer> | ServerDuplexStream<unknown, Buffer>,
    route: Route,
    open: (live: LiveCall) => Promise<Opened>,
  ): Promise<void> {
    const live = this.#begin(route, call);
    const changes = route.method.audit !== undefined;
    let admitted: AdmittedCall | undefined;
    try {
      live.holds(this.#options.admission.enter(live.account, "stream"));
      this.#requireRoom(live, "stream");
      this.#identifyPerson(live, call.metadata, changes);
      const { caller, signal } = live;
      authorize(caller, route.path, route.method, this.#options.isLocal);
      const fenced = { caller, metadata: call.metadata, changes };
      checkControlEpoch(this.#options.controlEpochs, fenced);
      const opened = await open(live);
      ({ admitted } = opened);
      // Before the method begins, which is when its first response is requested.
      if (changes) await this.#enforceEpoch(live, fenced);
      const writer = new StreamWriter(call, live, this.#options.outbox);
      const slice = live.slice();
      for await (const response of opened.responses) {
        if (signal.aborted) break;
        await writer.write(await route.encode(response, () => live.slice()));
        if (slice.over) await slice.rest();
      }
      if (signal.aborted) throw abortReason(signal);
      call.end();
      admitted?.ended(undefined);
      this.#log.answered(live, false, undefined);
    } catch (thrown) {
      this.#auditFailure(live, { changes, admitted, request: undefined, thrown });
      const error = this.#options.errors.encode(thrown, live);
      // The status follows all written messages; on a finished call it has no effect.
      if (!call.cancelled) call.emit("error", error.status);
      this.#log.answered(live, false, undefined, error);
    } finally {
      live.end();
    }
  }

  #begin({ path }: Route, call: ServerCall & { getPeer(): string }): LiveCall {
    const from = { lasting: this.#lasting, stopReason: this.#stopReason, turns: this.#options.turns };
    const live = new LiveCall(path, this.#options.identify(call), call, from);
    const peer = call.getPeer();
    if (/:\d+$/.test(peer)) live.peer = peer;
    return live;
  }

  /** While a caller has too many unread answers, only control calls are accepted. */
  #requireRoom({ account }: LiveCall, kind: CallClass): void {
    if (kind !== "control") this.#options.outbox.requireRoom(account);
  }

  /** Identifies the person behind the call. */
  #identifyPerson(live: LiveCall, metadata: Metadata, changes: boolean): void {
    const { caller } = live;
    const refusal = changes ? this.#changesRefused() : undefined;
    if (refusal !== undefined) throw refusal;
    live.caller = actingCaller(this.#options.people, {
      caller,
      metadata,
      isLocal: this.#options.isLocal,
      changes,
    });
  }

  /** Publishes break-glass use once the call is in the audit log. */
  async #admit(live: LiveCall, request: unknown, kind: CallClass): Promise<AdmittedCall> {
    const admitted = await this.#options.audit.admit(live, request, kind);
    const { path: method, caller } = live;
    const reason = caller.behalf?.breakGlass;
    if (reason !== undefined) {
      const { requestId = "" } = subjectOf(request);
      this.#options.people.brokeGlass({ reason, method, requestId });
    }
    return admitted;
  }

  #enforceEpoch(live: LiveCall, fenced: FencedCall): Promise<void> {
    return enforceControlEpoch(this.#options.controlEpochs, fenced, actorOf(live.caller, live.peer));
  }

  /** A read is audited only if it was denied. */
  #auditFailure(
    live: LiveCall,
    call: { changes: boolean; admitted: AdmittedCall | undefined; request: unknown; thrown: unknown },
  ): void {
    const { changes, admitted, request, thrown } = call;
    const isDenied = isSocleError(thrown) && (thrown.kind === "denied" || thrown.kind === "unauthenticated");
    if (admitted !== undefined) admitted.ended(undefined, thrown);
    else if (changes || isDenied) this.#options.audit.refused(live, request, thrown);
  }
}

interface Opened {
  readonly responses: AsyncIterable<unknown>;
  readonly admitted?: AdmittedCall;
}
