import {
  Client,
  connectivityState,
  status,
  type ChannelCredentials,
  type ChannelOptions,
  type ServiceError,
} from "@grpc/grpc-js";
import { abortable, abortReason, systemClock } from "../kernel/clock.ts";
import { SocleError } from "../kernel/errors.ts";
import type { AgentMessage } from "../gen/socle/v1/AgentMessage.ts";
import type { ReportPart } from "../gen/socle/v1/ReportPart.ts";
import type { ReportResponse__Output } from "../gen/socle/v1/ReportResponse.ts";
import type { SchedulerMessage__Output } from "../gen/socle/v1/SchedulerMessage.ts";
import type { SchedulerServiceDefinition } from "../gen/socle/v1/SchedulerService.ts";
import { messageOf } from "../kernel/thrown.ts";
import { channelOptions } from "./credentials.ts";

const sessionOptions: ChannelOptions = {
  ...channelOptions,
  "grpc.keepalive_time_ms": 20_000,
  "grpc.keepalive_timeout_ms": 10_000,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc.enable_retries": 0,
};
const reportTimeoutMs = 60_000;

/** One session with a scheduler, as a stream of messages each way. */
export class Contact {
  readonly #client: Client;
  readonly #service: SchedulerServiceDefinition;
  readonly #signal: AbortSignal;
  readonly #session;

  /**
   * `signals.dial` aborts the dial, `signals.session` the whole session. Throws `unavailable` SCHEDULER_UNREACHABLE when no
   * gRPC server responds in time.
   */
  static async open(
    to: { readonly address: string; readonly credentials: ChannelCredentials },
    service: SchedulerServiceDefinition,
    timeoutMs: number,
    signals: { readonly dial: AbortSignal; readonly session: AbortSignal },
  ): Promise<Contact> {
    const { address } = to;
    const client = new Client(address, to.credentials, sessionOptions);
    try {
      await ready(client, timeoutMs, signals.dial);
      return new Contact(client, service, signals.session);
    } catch (thrown) {
      client.close();
      if (signals.dial.aborted) throw abortReason(signals.dial);
      const why = messageOf(thrown);
      const message = `no scheduler answers at ${address}: ${why}; check that it runs, and the unit's IPAddressAllow=`;
      throw new SocleError("unavailable", "SCHEDULER_UNREACHABLE", message, { cause: thrown });
    }
  }

  private constructor(client: Client, service: SchedulerServiceDefinition, signal: AbortSignal) {
    this.#client = client;
    this.#service = service;
    this.#signal = signal;
    const { path, requestSerialize, responseDeserialize } = service.Session;
    this.#session = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    // Errors are thrown to readers and writers.
    this.#session.on("error", () => undefined);
    signal.addEventListener("abort", () => this.#session.cancel(), { once: true });
  }

  /** The scheduler's messages; ends when it ends the session. Throws `unavailable` SESSION_LOST. */
  async *messages(): AsyncGenerator<SchedulerMessage__Output, void, undefined> {
    try {
      for await (const message of this.#session) yield message as SchedulerMessage__Output;
    } catch (thrown) {
      throw this.#signal.aborted ? abortReason(this.#signal) : lost(thrown);
    }
  }

  /** Resolves once the transport took the message: backpressure from a slow scheduler. */
  send(message: AgentMessage): Promise<void> {
    return this.#race((resolve, reject) => {
      this.#session.write(message, (error: Error | null | undefined) => {
        if (error == null) resolve();
        else reject(lost(error));
      });
    });
  }

  /** Sends a report on a stream of its own. Throws `unavailable` REPORT_FAILED. */
  async report(parts: Iterable<ReportPart>): Promise<ReportResponse__Output> {
    const { path, requestSerialize, responseDeserialize } = this.#service.Report;
    let answered: (response: ReportResponse__Output) => void = () => undefined;
    let failed: (reason: Error) => void = () => undefined;
    const response = this.#race<ReportResponse__Output>((resolve, reject) => {
      answered = resolve;
      failed = reject;
    });
    const call = this.#client.makeClientStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      (error, value) => {
        if (error === null && value !== undefined) answered(value);
        else failed(reportFailed(error));
      },
    );
    call.on("error", () => undefined);
    const cancel = (): void => call.cancel();
    const late = setTimeout(cancel, reportTimeoutMs);
    this.#signal.addEventListener("abort", cancel, { once: true });
    try {
      for (const part of parts) {
        const taken: Promise<void> = this.#race((resolve) => call.write(part, () => resolve()));
        // A scheduler that has already responded reads no more.
        await Promise.race([taken, response]);
      }
      call.end();
      return await response;
    } finally {
      clearTimeout(late);
      this.#signal.removeEventListener("abort", cancel);
    }
  }

  /** Ends sending. Resolves when the scheduler, which has then read all, ends the session too. */
  finish(): Promise<void> {
    return this.#race((resolve) => {
      this.#session.once("status", () => resolve());
      this.#session.end();
    });
  }

  /** Half-closes, then closes. */
  close(): void {
    this.#session.end();
    this.#client.close();
  }

  /** A promise that also rejects when the session is over. */
  #race<T>(run: (resolve: (value: T) => void, reject: (reason: Error) => void) => void): Promise<T> {
    return abortable<T>(this.#signal, (resolve, reject) => {
      run(resolve, reject);
      return undefined;
    });
  }
}

/**
 * Resolves when the connection is ready. The agent's own backoff decides about retries, so the first failure ends the wait;
 * the deadline covers a peer that accepts and stays silent.
 */
async function ready(client: Client, timeoutMs: number, signal: AbortSignal): Promise<void> {
  const channel = client.getChannel();
  const deadlineMs = systemClock.monotonicMs() + timeoutMs;
  for (;;) {
    if (signal.aborted) throw abortReason(signal);
    const state = channel.getConnectivityState(true);
    if (state === connectivityState.READY) return;
    if (state === connectivityState.TRANSIENT_FAILURE) throw new Error("the connection was refused or lost");
    const leftMs = deadlineMs - systemClock.monotonicMs();
    if (leftMs <= 0) throw new Error(`nothing was received for ${timeoutMs} ms`);
    await abortable(signal, (resolve) => {
      // grpc-js only has wall-clock deadlines: it waits forever, and this deadline ends the wait.
      const timer = setTimeout(resolve, leftMs);
      channel.watchConnectivityState(state, Infinity, () => {
        clearTimeout(timer);
        resolve();
      });
      return () => clearTimeout(timer);
    });
  }
}

function lost(thrown: unknown): SocleError {
  const why = messageOf(thrown);
  const message = `the session with the scheduler was lost: ${why}`;
  return new SocleError("unavailable", "SESSION_LOST", message, { cause: thrown });
}

function reportFailed(error: ServiceError | null): SocleError {
  const why = error === null ? "no answer" : `${status[error.code]}: ${error.details}`;
  const message = `the scheduler did not accept the report: ${why}`;
  return new SocleError("unavailable", "REPORT_FAILED", message, { cause: error });
}
