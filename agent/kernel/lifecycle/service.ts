import { isSocleError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { messageOf } from "../thrown.ts";
import { systemClock } from "../clock.ts";
import { aborted, LATE, within } from "../concurrency/deadline.ts";

/**
 * A running part of the agent. `run` calls `ready` once it works, runs until the signal aborts, then
 * cleans up and returns. Returning or throwing before the abort fails the whole agent.
 */
export interface Service {
  readonly name: string;
  /** Readiness depends on something outside the agent: other services wait at most this long for it. */
  readonly readyWithinMs?: number;
  /** How long it may take to stop, if not the default. */
  readonly stopTimeoutMs?: number;
  run(signal: AbortSignal, ready: () => void): Promise<void>;
}

interface ServicesOptions {
  readonly log: Logger;
  /** How long one service may take to stop before it is abandoned, in milliseconds. */
  readonly stopTimeoutMs: number;
}

/**
 * Starts services in order (each when the one before is ready), runs until `signal` aborts or one fails, and stops
 * them in reverse order. Rejects with the first failure. Calls `onReady` when all are ready or their waits are over.
 */
export async function runServices(
  services: readonly Service[],
  signal: AbortSignal,
  onReady: () => void,
  options: ServicesOptions,
): Promise<void> {
  const { log, stopTimeoutMs } = options;
  const started: { service: Service; stop: AbortController; done: Promise<void> }[] = [];
  let failure: Error | undefined;
  const failed = new AbortController();
  const fail = (service: Service, cause: unknown): void => {
    log.error({ service: service.name, err: cause }, "service failed");
    failure ??= asFailure(service, cause);
    failed.abort();
  };
  const ending = AbortSignal.any([signal, failed.signal]);
  const ended = aborted(ending);

  for (const service of services) {
    if (ending.aborted) break;
    const stop = new AbortController();
    let isReady: () => void = () => undefined;
    const readiness = new Promise<void>((resolve) => {
      isReady = resolve;
    });
    // Async, so that a synchronous throw of run is a failure like any other.
    const run = async (): Promise<void> => service.run(stop.signal, isReady);
    const done = run().then(
      () => {
        if (!stop.signal.aborted) fail(service, new Error("it ended unexpectedly"));
      },
      (cause: unknown) => {
        if (!stop.signal.aborted) fail(service, cause);
        else log.warn({ service: service.name, err: cause }, "service failed while stopping");
      },
    );
    started.push({ service, stop, done });
    const isInTime = await settles(Promise.race([readiness, ended]), service.readyWithinMs);
    if (!isInTime)
      log.warn({ service: service.name }, "service is not ready yet; starting the others without it");
  }
  if (!ending.aborted) onReady();
  await ended;

  for (const { service, stop, done } of started.reverse()) {
    stop.abort();
    const timeoutMs = service.stopTimeoutMs ?? stopTimeoutMs;
    if (!(await settles(done, timeoutMs)))
      log.warn({ service: service.name, timeoutMs }, "service did not stop in time and is abandoned");
  }
  if (failure !== undefined) throw failure;
}

/** A SocleError of a service as it is; any other error with the service's name. */
function asFailure(service: Service, cause: unknown): Error {
  if (isSocleError(cause)) return cause;
  const why = messageOf(cause);
  return new Error(`service ${service.name} failed: ${why}`, { cause });
}

/** Whether the promise settled within the time; without a time, waits until it does. */
async function settles(promise: Promise<void>, timeoutMs: number | undefined): Promise<boolean> {
  if (timeoutMs !== undefined) return (await within(systemClock, timeoutMs, promise)) !== LATE;
  await promise;
  return true;
}
