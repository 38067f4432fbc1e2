import type { handleBidiStreamingCall, handleServerStreamingCall, handleUnaryCall } from "@grpc/grpc-js";
import type { Slice } from "../../kernel/concurrency/slice.ts";
import type { Caller } from "../auth/identity.ts";

/** What a method's function gets beside the request. */
export interface CallContext {
  readonly caller: Caller;
  /** For long work: a slice that yields until its caller's turn. */
  slice(): Slice;
  /** Aborts when the call is over: answered, cancelled, past its deadline, or ended by the agent's stop. */
  readonly signal: AbortSignal;
}

/**
 * Methods are plain functions from request to response. calls.ts adapts them to grpc-js and owns errors, identity, roles,
 * deadlines, backpressure and the log; contract/methods.ts has the rest.
 */
export type UnaryMethod<Request, Response> = (
  request: Request,
  context: CallContext,
) => Response | Promise<Response>;

export type ServerStreamMethod<Request, Response> = (
  request: Request,
  context: CallContext,
) => AsyncIterable<Response>;

export type BidiMethod<Request, Response> = (
  requests: AsyncIterable<Request>,
  context: CallContext,
) => AsyncIterable<Response>;

/** The methods of a service (its generated Handlers), each with the contract's kind and types. */
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
