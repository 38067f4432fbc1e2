import {
  status,
  type Metadata,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { abortReason } from "../kernel/clock.ts";
import { SocleError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/log.ts";
import type { Admission } from "./admission.ts";
import { actorOf, type AdmittedCall, type AuditedCall, type CallAudit } from "./call-audit.ts";
import {
  checkControlEpoch,
  enforceControlEpoch,
  type ControlEpochs,
  type FencedCall,
} from "./control-epoch.ts";
import type { ErrorEncoder, WireError } from "./errors.ts";
import type { BidiMethod, CallContext, Method, ServerStreamMethod, UnaryMethod } from "./handler.ts";
import type { Caller, Identify } from "./identity.ts";
import { actingCaller, type PeopleDoor } from "./people.ts";
import { type Role, rolesOfMethod, socketMethods, tenantMethods } from "./roles.ts";

export interface CallsOptions {
  readonly errors: ErrorEncoder;
  readonly identify: Identify;
  readonly admission: Admission;
  readonly controlEpochs: ControlEpochs;
  readonly audit: CallAudit;
  readonly people: PeopleDoor;
  /** Whether they come over the host's own unix socket. */
  readonly isLocal: boolean;
  readonly log: Logger;
}

/** A service of the contract and what does its work (a `Methods` of its Handlers). */
export interface Implementable {
  readonly definition: ServiceDefinition;
  readonly methods: Readonly<Record<string, Method<never, unknown>>>;
}

interface Route {
  readonly path: string;
  readonly roles: ReadonlySet<Role>;
}

/** Runs methods as grpc-js handlers. What is thrown becomes a status: nothing escapes to the process. */
export class Calls {
  readonly #errors: ErrorEncoder;
  readonly #identify: Identify;
  readonly #admission: Admission;
  readonly #controlEpochs: ControlEpochs;
  readonly #audit: CallAudit;
  readonly #people: PeopleDoor;
  readonly #isLocal: boolean;
  readonly #log: Logger;
  /** Those that may last: streams, and calls that asked for their signal. */
  readonly #lasting = new Set<LiveCall>();
  #stopReason: SocleError | undefined;

  constructor(options: CallsOptions) {
    this.#errors = options.errors;
    this.#identify = options.identify;
    this.#admission = options.admission;
    this.#controlEpochs = options.controlEpochs;
    this.#audit = options.audit;
    this.#people = options.people;
    this.#isLocal = options.isLocal;
    this.#log = options.log;
  }

  /** The implementation of `definition` for a grpc-js server. Throws when a method is missing or of another kind. */
  implement({ definition, methods }: Implementable): UntypedServiceImplementation {
    const implementation: Record<string, unknown> = {};
    for (const [name, { path, requestStream, responseStream }] of Object.entries(definition)) {
      const method = methods[name];
      const kind = requestStream ? "bidi" : responseStream ? "serverStream" : "unary";
      if (method?.kind !== kind) throw new Error(`${path} needs a ${kind} method`);
      const route = { path, roles: new Set(rolesOfMethod[path] ?? []) };
      implementation[name] = this.#handler(route, method);
    }
    // grpc-js leaves its implementations untyped; `Methods` has typed each of them.
    return implementation as UntypedServiceImplementation;
  }

  /** Ends streams and waiting calls with `reason`; others are about to answer anyway. */
  stop(reason: SocleError): void {
    this.#stopReason = reason;
    for (const live of this.#lasting) live.end(reason);
  }

  #handler(route: Route, method: Method<never, unknown>) {
    switch (method.kind) {
      case "unary":
        return this.#unary(route, method);
      case "serverStream":
        return this.#serverStream(route, method);
      case "bidi":
        return this.#bidi(route, method);
    }
  }

  #unary<Request>(route: Route, method: UnaryMethod<Request, unknown>) {
    return (call: ServerUnaryCall<Request, unknown>, respond: sendUnaryData<unknown>): void => {
      const live = this.#begin(route, call);
      call.once("cancelled", () => live.end());
      let leave = (): void => undefined;
      let admitted: AdmittedCall | undefined;
      const succeed = (response: unknown): void => {
        leave();
        admitted?.ended(response);
        respond(null, response);
        this.#logCall(live, method.mutation, call.request);
      };
      const fail = (thrown: unknown): void => {
        leave();
        this.#auditFailure(live, { changes: method.mutation, admitted, request: call.request, thrown });
        const error = this.#errors.encode(thrown);
        respond(error.status);
        this.#logCall(live, method.mutation, call.request, error);
      };
      try {
        leave = this.#admission.enter(live.caller.name, method.class);
        this.#identifyPerson(live, call.metadata, method.mutation);
        authorize(live.caller, route, this.#isLocal);
        const fenced = { caller: live.caller, metadata: call.metadata, changes: method.mutation };
        checkControlEpoch(this.#controlEpochs, fenced);
        const run = (): unknown => method.run(call.request, live);
        const response = method.mutation
          ? this.#admit(live, call.request).then(async (admission) => {
              admitted = admission;
              await this.#enforceEpoch(live, fenced);
              return run();
            })
          : run();
        if (response instanceof Promise) response.then(succeed, fail);
        else succeed(response);
      } catch (thrown) {
        fail(thrown);
      }
    };
  }

  #serverStream<Request>(route: Route, method: ServerStreamMethod<Request, unknown>) {
    return (call: ServerWritableStream<Request, unknown>): void => {
      void this.#stream(call, route, false, (live) =>
        Promise.resolve({ responses: method.run(call.request, live) }),
      );
    };
  }

  #bidi<Request>(route: Route, method: BidiMethod<Request, unknown>) {
    return (call: ServerDuplexStream<Request, unknown>): void => {
      void this.#stream(call, route, method.mutation, async (live) => {
        const requests = readAll(call, live.signal);
        if (!method.mutation) return { responses: method.run(requests, live) };
        // The first message says what it is about.
        const first = await requests.next();
        const admitted = await this.#admit(live, first.value);
        return { admitted, responses: method.run(again(first, requests), live) };
      });
    };
  }

  async #stream<Request>(
    call: ServerWritableStream<Request, unknown> | ServerDuplexStream<Request, unknown>,
    route: Route,
    changes: boolean,
    open: (live: LiveCall) => Promise<Opened>,
  ): Promise<void> {
    const live = this.#begin(route, call);
    call.once("cancelled", () => live.end());
    let leave = (): void => undefined;
    let admitted: AdmittedCall | undefined;
    try {
      leave = this.#admission.enter(live.caller.name, "stream");
      this.#identifyPerson(live, call.metadata, changes);
      const { caller, signal } = live;
      authorize(caller, route, this.#isLocal);
      const fenced = { caller, metadata: call.metadata, changes };
      checkControlEpoch(this.#controlEpochs, fenced);
      const opened = await open(live);
      ({ admitted } = opened);
      // Before the first response is asked for, which is when the method begins.
      if (changes) await this.#enforceEpoch(live, fenced);
      for await (const response of opened.responses) {
        if (signal.aborted) break;
        if (!call.write(response)) await drained(call, signal);
      }
      if (signal.aborted) throw abortReason(signal);
      call.end();
      admitted?.ended(undefined);
      this.#logCall(live, false, undefined);
    } catch (thrown) {
      this.#auditFailure(live, { changes, admitted, request: undefined, thrown });
      const error = this.#errors.encode(thrown);
      // The status goes out behind what has been written; on a call that is over already it goes nowhere.
      if (!call.cancelled) call.emit("error", error.status);
      this.#logCall(live, false, undefined, error);
    } finally {
      leave();
      live.end();
    }
  }

  #begin({ path }: Route, call: { getPeer(): string }): LiveCall {
    const live = new LiveCall(path, this.#identify(call), this.#lasting, this.#stopReason);
    const peer = call.getPeer();
    if (/:\d+$/.test(peer)) live.peer = peer;
    return live;
  }

  /** The person behind the call, from here on. */
  #identifyPerson(live: LiveCall, metadata: Metadata, changes: boolean): void {
    const { caller } = live;
    live.caller = actingCaller(this.#people, { caller, metadata, isLocal: this.#isLocal, changes });
  }

  /** What came by break-glass is told to all, once it is in the audit log. */
  async #admit(live: LiveCall, request: unknown): Promise<AdmittedCall> {
    const admitted = await this.#audit.admit(live, request);
    const { path: method, caller } = live;
    const reason = caller.behalf?.breakGlass;
    if (reason !== undefined) {
      const { requestId } = subjectOf(request);
      this.#people.brokeGlass({
        reason,
        method,
        requestId: typeof requestId === "string" ? requestId : "",
      });
    }
    return admitted;
  }

  #enforceEpoch(live: LiveCall, fenced: FencedCall): Promise<void> {
    return enforceControlEpoch(this.#controlEpochs, fenced, actorOf(live.caller, live.peer));
  }

  /** Who only reads leaves a trace where that was not for him to read. */
  #auditFailure(
    live: LiveCall,
    call: { changes: boolean; admitted: AdmittedCall | undefined; request: unknown; thrown: unknown },
  ): void {
    const { changes, admitted, request, thrown } = call;
    const isDenied =
      thrown instanceof SocleError && (thrown.kind === "denied" || thrown.kind === "unauthenticated");
    if (admitted !== undefined) admitted.ended(undefined, thrown);
    else if (changes || isDenied) this.#audit.refused(live, request, thrown);
  }

  #logCall(live: LiveCall, isMutation: boolean, request: unknown, error?: WireError): void {
    const { path, caller } = live;
    if (error?.id !== undefined) {
      this.#log.error(
        { method: path, caller: caller.name, errorId: error.id, err: error.cause },
        "call failed",
      );
      return;
    }
    // What is refused for being too much must not become as much in the log: metrics count it.
    const level = isMutation && error?.status.code !== status.RESOURCE_EXHAUSTED ? "info" : "debug";
    if (!this.#log.isLevelEnabled(level)) return;
    const code = status[error?.status.code ?? status.OK];
    const durationMs = Math.round((performance.now() - live.startedMs) * 1000) / 1000;
    const { person } = caller.behalf ?? {};
    const fields = { method: path, caller: caller.name, person, code, reason: error?.reason, durationMs };
    this.#log[level](
      { ...fields, ...subjectOf(request) },
      error === undefined ? "call" : error.status.details,
    );
  }
}

interface Opened {
  readonly responses: AsyncIterable<unknown>;
  readonly admitted?: AdmittedCall;
}

/** One call while it lasts. Its signal costs nothing until a method asks for it. */
class LiveCall implements CallContext, AuditedCall {
  readonly path: string;
  caller: Caller;
  peer: string | undefined;
  readonly startedMs = performance.now();
  readonly #lasting: Set<LiveCall>;
  #abort: AbortController | undefined;
  #ended: Error | undefined;

  constructor(path: string, caller: Caller, lasting: Set<LiveCall>, stopReason: Error | undefined) {
    this.path = path;
    this.caller = caller;
    this.#lasting = lasting;
    this.#ended = stopReason;
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#ended === undefined) this.#lasting.add(this);
      else this.#abort.abort(this.#ended);
    }
    return this.#abort.signal;
  }

  end(reason: Error = callOver): void {
    this.#ended ??= reason;
    this.#lasting.delete(this);
    this.#abort?.abort(this.#ended);
  }
}

const callOver = new SocleError("cancelled", "CANCELLED", "the call is over");

function authorize(caller: Caller, { path, roles }: Route, isLocal: boolean): void {
  if (caller.role !== "none" && roles.has(caller.role)) {
    if (!isLocal && socketMethods.has(path)) {
      const message = `${path} is for an administrator on the host: run socle there, by the agent's unix socket`;
      throw new SocleError("denied", "SOCKET_ONLY", message);
    }
    if (caller.tenant === undefined || tenantMethods.has(path)) return;
    const message = `${path} tells of all tenants; your certificate is for ${caller.tenant} alone`;
    throw new SocleError("denied", "TENANT_DENIED", message);
  }
  throw new SocleError("denied", "ROLE_DENIED", `the role ${caller.role} may not call ${path}`, {
    details: { metadata: { role: caller.role, method: path } },
  });
}

/** Resolves when the stream takes more, rejects with the signal's reason when the call is over first. */
function drained(call: NodeJS.WritableStream, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onDrain = (): void => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    };
    const onAbort = (): void => {
      call.off("drain", onDrain);
      reject(abortReason(signal));
    };
    if (signal.aborted) onAbort();
    else {
      signal.addEventListener("abort", onAbort, { once: true });
      call.once("drain", onDrain);
    }
  });
}

/** A caller's messages, read one by one as they are asked for; ends with the caller, throws when the call is over. */
async function* readAll<Request>(
  call: ServerDuplexStream<Request, unknown>,
  signal: AbortSignal,
): AsyncGenerator<Request, void, undefined> {
  // Leaving the loop must not destroy the stream: the answer still goes out on it.
  const messages = call.iterator({ destroyOnReturn: false }) as AsyncIterableIterator<Request>;
  let interrupt: (reason: Error) => void = () => undefined;
  signal.addEventListener("abort", () => interrupt(abortReason(signal)), { once: true });
  for (;;) {
    const next = await new Promise<IteratorResult<Request, unknown>>((resolve, reject) => {
      interrupt = reject;
      if (signal.aborted) reject(abortReason(signal));
      else messages.next().then(resolve, reject);
    });
    if (next.done === true) return;
    yield next.value;
  }
}

/** The messages with the first one, which was taken already, before the others. */
async function* again<Request>(
  first: IteratorResult<Request, void>,
  rest: AsyncGenerator<Request, void, undefined>,
): AsyncGenerator<Request, void, undefined> {
  if (first.done === true) return;
  yield first.value;
  yield* rest;
}

function subjectOf(request: unknown): { vm?: unknown; requestId?: unknown } {
  if (typeof request !== "object" || request === null) return {};
  const vm = "vm" in request ? { vm: request.vm } : {};
  return "requestId" in request ? { ...vm, requestId: request.requestId } : vm;
}
