import type { handleBidiStreamingCall, handleServerStreamingCall, handleUnaryCall } from "@grpc/grpc-js";
import type { Slice } from "../../kernel/concurrency/slice.ts";
import type { CallClass } from "../limits/admission.ts";
import type { Caller } from "../auth/identity.ts";

/** What a method's function gets beside the request. */
export interface CallContext {
  readonly caller: Caller;
  /** For long work: a slice that rests until it is its caller's turn. */
  slice(): Slice;
  /** Aborts when the call is over: answered, cancelled, past its deadline, or ended because the agent stops. */
  readonly signal: AbortSignal;
}

/**
 * A method as a service file declares it: a plain function from request to response. calls.ts turns it into what
 * grpc-js wants and owns errors, identity, roles, deadlines, backpressure and the log.
 */
export type Method<Request, Response> =
  UnaryMethod<Request, Response> | ServerStreamMethod<Request, Response> | BidiMethod<Request, Response>;

export interface UnaryMethod<Request, Response> {
  readonly kind: "unary";
  /** Changes something: logged at info, and only of the scheduler that is in charge. */
  readonly mutation: boolean;
  readonly class: CallClass;
  readonly run: (request: Request, context: CallContext) => Response | Promise<Response>;
}

export interface ServerStreamMethod<Request, Response> {
  readonly kind: "serverStream";
  readonly run: (request: Request, context: CallContext) => AsyncIterable<Response>;
}

export interface BidiMethod<Request, Response> {
  readonly kind: "bidi";
  /** As a unary one's. */
  readonly mutation: boolean;
  readonly run: (requests: AsyncIterable<Request>, context: CallContext) => AsyncIterable<Response>;
}

/** The methods of a service (its generated Handlers), each of the kind and with the types that the contract says. */
export type Methods<Handlers> = {
  readonly [Name in keyof Handlers as string extends Name ? never : Name]: MethodFor<Handlers[Name]>;
};

type MethodFor<Handler> =
  Handler extends handleUnaryCall<infer Request, infer Response>
    ? UnaryMethod<Request, Response>
    : Handler extends handleServerStreamingCall<infer Request, infer Response>
      ? ServerStreamMethod<Request, Response>
      : Handler extends handleBidiStreamingCall<infer Request, infer Response>
        ? BidiMethod<Request, Response>
        : never;

type Run<Request, Response> = UnaryMethod<Request, Response>["run"];

export const unary = <Request, Response>(run: Run<Request, Response>): UnaryMethod<Request, Response> => ({
  kind: "unary",
  mutation: false,
  class: "read",
  run,
});

export const mutation = <Request, Response>(run: Run<Request, Response>): UnaryMethod<Request, Response> => ({
  kind: "unary",
  mutation: true,
  class: "mutation",
  run,
});

/** A mutation that relieves the host, or is an operator's word: it gets through when others do not. */
export const control = <Request, Response>(run: Run<Request, Response>): UnaryMethod<Request, Response> => ({
  kind: "unary",
  mutation: true,
  class: "control",
  run,
});

/** Whether the agent lives: asked when nothing else is answered. */
export const probe = <Request, Response>(run: Run<Request, Response>): UnaryMethod<Request, Response> => ({
  kind: "unary",
  mutation: false,
  class: "control",
  run,
});

/** Answers when something has happened. */
export const wait = <Request, Response>(run: Run<Request, Response>): UnaryMethod<Request, Response> => ({
  kind: "unary",
  mutation: false,
  class: "wait",
  run,
});

export const serverStream = <Request, Response>(
  run: ServerStreamMethod<Request, Response>["run"],
): ServerStreamMethod<Request, Response> => ({ kind: "serverStream", run });

export const bidi = <Request, Response>(
  run: BidiMethod<Request, Response>["run"],
): BidiMethod<Request, Response> => ({ kind: "bidi", mutation: false, run });
