import { access, constants } from "node:fs/promises";
import type * as grpc from "@grpc/grpc-js";
import { SocleError, toSocleError } from "../kernel/errors.ts";
import type { Contract } from "../contract/load.ts";
import { interrupted } from "./errors.ts";
import { fromRpcError, isRpcError } from "./rpc-error.ts";
import { defined } from "../kernel/defined.ts";
import { codeOf } from "../kernel/thrown.ts";

export type Target =
  | { readonly kind: "socket"; readonly path: string }
  | { readonly kind: "tcp"; readonly address: string };

/** Metadata that is sent with every call. */
interface CallMetadata {
  /** The control epoch of the scheduler that commands; api/auth/control-epoch.ts reads it. */
  readonly controlEpoch?: number | undefined;
  /** A signed token of the person, and the reason; api/auth/people.ts reads these. */
  readonly person?: string | undefined;
  readonly ticket?: string | undefined;
  readonly breakGlass?: string | undefined;
}

export const metadataKeys = {
  controlEpoch: "socle-control-epoch",
  person: "socle-person",
  ticket: "socle-ticket",
  breakGlass: "socle-break-glass",
} as const satisfies Record<keyof CallMetadata, string>;

/** A method of the contract, as proto-loader gives it. */
export interface Method<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (request: Request) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

/** Deadline for the first response of the agent. */
const contactTimeoutMs = 3000;
/** Deadline for a unary call: all are answered from memory. */
const callTimeoutMs = 10_000;
/** A page of 1,000 VMs with long labels. */
const maxMessageBytes = 64 * 2 ** 20;
/** Of HTTP/2: what the agent sends ahead of reads. With its default of 64 KiB a message of a backup takes four turns. */
const windowBytes = 2 ** 20;

/** A connection to an agent. Every failure, including an interrupt, is thrown as a SocleError. */
export interface Agent {
  readonly contract: Contract;
  /** One unary call: `agent.ask(agent.contract.host.GetHost, {})`. */
  ask<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    options?: { readonly timeoutMs?: number },
  ): Promise<Response>;
  /** A stream's messages, until it ends. Leaving the loop ends the stream. */
  watch<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    options?: { readonly timeoutMs?: number | undefined },
  ): AsyncGenerator<Response, void, undefined>;
  /** A bidirectional stream; pass its errors to `failure`. */
  open<Request, Response>(method: Method<Request, Response>): grpc.ClientDuplexStream<Request, Response>;
  failure(thrown: unknown): SocleError;
  close(): void;
}

/**
 * Connects and waits for a first response. Without the deadline, a peer that accepts and stays silent would
 * block the caller forever.
 */
export async function connect(
  target: Target,
  protoDirectory: string,
  interrupt: AbortSignal,
  callMetadata: CallMetadata = {},
): Promise<Agent> {
  if (target.kind === "socket") await checkSocket(target.path);
  const [{ Client, Metadata, credentials, connectivityState }, contract] = await Promise.all([
    import("./grpc.ts"),
    import("../contract/load.ts").then(({ loadContract }) => loadContract(protoDirectory)),
  ]);
  const client = new Client(
    target.kind === "socket" ? `unix:${target.path}` : target.address,
    credentials.createInsecure(),
    defined({
      "grpc.max_receive_message_length": maxMessageBytes,
      "grpc.max_send_message_length": maxMessageBytes,
      "grpc.enable_http_proxy": 0,
      "grpc-node.flow_control_window": windowBytes,
      "grpc.service_config_disable_resolution": 1,
      "grpc.enable_channelz": 0,
      "grpc.default_authority": target.kind === "socket" ? "localhost" : undefined,
    }),
  );
  try {
    await firstContact(client.getChannel(), connectivityState, target, interrupt);
  } catch (thrown) {
    client.close();
    throw thrown;
  }

  const failure = (thrown: unknown): SocleError => {
    if (interrupt.aborted) return interrupted();
    return isRpcError(thrown) ? fromRpcError(contract, thrown) : toSocleError(thrown);
  };
  const metadata = new Metadata();
  for (const name of ["controlEpoch", "person", "ticket", "breakGlass"] as const) {
    const value = callMetadata[name];
    if (value !== undefined) metadata.set(metadataKeys[name], String(value));
  }
  return {
    contract,
    failure,
    close: () => client.close(),
    ask: ({ path, requestSerialize, responseDeserialize }, request, { timeoutMs = callTimeoutMs } = {}) =>
      new Promise((resolve, reject) => {
        const call = client.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize,
          request,
          metadata,
          { deadline: Date.now() + timeoutMs },
          (error, response) => {
            release();
            if (error !== null) reject(failure(error));
            else if (response !== undefined) resolve(response);
          },
        );
        const release = onAbort(interrupt, () => call.cancel());
      }),
    async *watch({ path, requestSerialize, responseDeserialize }, request, { timeoutMs } = {}) {
      const call = client.makeServerStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs },
      );
      // The end of the loop cancels the call; no caller awaits that error.
      call.on("error", () => undefined);
      const release = onAbort(interrupt, () => call.cancel());
      try {
        for await (const message of call) yield responseOf(responseDeserialize, message);
      } catch (thrown) {
        throw failure(thrown);
      } finally {
        release();
        call.cancel();
      }
      if (interrupt.aborted) throw interrupted();
    },
    open: ({ path, requestSerialize, responseDeserialize }) =>
      client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata),
  };
}

/** A Readable's iterator yields any; its items are decoded by the method. */
const responseOf = <Response>(_decode: (bytes: Buffer) => Response, message: unknown): Response =>
  message as Response;

/** Calls `act` when the signal aborts, or at once if it has; returns the unsubscribe function. */
function onAbort(signal: AbortSignal, act: () => void): () => void {
  if (signal.aborted) act();
  signal.addEventListener("abort", act, { once: true });
  return () => signal.removeEventListener("abort", act);
}

async function checkSocket(path: string): Promise<void> {
  try {
    await access(path, constants.R_OK | constants.W_OK);
  } catch (cause) {
    const denied = codeOf(cause) === "EACCES";
    throw denied
      ? new SocleError("denied", "SOCKET_DENIED", `this user may not use the agent's socket ${path}`, {
          cause,
        })
      : new SocleError("unavailable", "AGENT_NOT_RUNNING", `the agent is not running: there is no ${path}`, {
          cause,
        });
  }
}

async function firstContact(
  channel: ReturnType<grpc.Client["getChannel"]>,
  states: typeof grpc.connectivityState,
  target: Target,
  interrupt: AbortSignal,
): Promise<void> {
  const place = target.kind === "socket" ? target.path : target.address;
  const deadline = Date.now() + contactTimeoutMs;
  for (;;) {
    const state = channel.getConnectivityState(true);
    if (state === states.READY) return;
    if (state === states.TRANSIENT_FAILURE)
      throw new SocleError("unavailable", "AGENT_UNREACHABLE", `no agent answers at ${place}`);
    const outcome = await new Promise<"changed" | "late" | "interrupted">((resolve) => {
      const release = onAbort(interrupt, () => resolve("interrupted"));
      channel.watchConnectivityState(state, deadline, (error) => {
        release();
        resolve(error === undefined ? "changed" : "late");
      });
    });
    if (outcome === "interrupted") throw interrupted();
    if (outcome === "late") {
      const message = `the listener at ${place} did not respond within ${contactTimeoutMs / 1000} s`;
      throw new SocleError("unavailable", "AGENT_SILENT", message);
    }
  }
}
