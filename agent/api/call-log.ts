import { status } from "@grpc/grpc-js";
import type { Clock } from "../kernel/clock.ts";
import type { Logger } from "../kernel/log.ts";
import { Throttle } from "../kernel/concurrency/throttle.ts";
import type { WireError } from "./convert/errors.ts";
import type { LiveCall } from "./live-call.ts";
import { defined } from "../kernel/defined.ts";

/** Logs calls: changes at info, reads at debug, errors that the caller got an id of as warnings, defects as errors. */
export class CallLog {
  readonly #log: Logger;
  readonly #refusals: Throttle;

  constructor(log: Logger, clock: Clock) {
    this.#log = log;
    this.#refusals = new Throttle(clock);
  }

  /** `error`: the call's failure, undefined on success. */
  answered(
    { path, caller, startedMs }: Pick<LiveCall, "path" | "caller" | "startedMs">,
    isMutation: boolean,
    request: unknown,
    error?: WireError,
  ): void {
    if (error?.id !== undefined) {
      const level = error.status.code === status.INTERNAL ? "error" : "warn";
      const { id: errorId, reason, cause: err } = error;
      this.#log[level]({ method: path, caller: caller.name, errorId, reason, err }, "call failed");
      return;
    }
    // Rate-limit refusals must not flood the log: metrics count them.
    const level = isMutation && error?.status.code !== status.RESOURCE_EXHAUSTED ? "info" : "debug";
    if (!this.#log.isLevelEnabled(level)) return;
    // Refusals are cheap for callers: one line a second per kind, with the number of the others.
    const others = error && this.#refusals.pass(`${path} ${caller.name} ${error.reason}`);
    if (error !== undefined && others === undefined) return;
    const code = status[error?.status.code ?? status.OK];
    const durationMs = Math.round((performance.now() - startedMs) * 1000) / 1000;
    const { person } = caller.behalf ?? {};
    const fields = {
      method: path,
      caller: caller.name,
      person,
      code,
      reason: error?.reason,
      durationMs,
      others: others === 0 ? undefined : others,
    };
    this.#log[level](
      { ...fields, ...subjectOf(request) },
      error === undefined ? "call" : error.status.details,
    );
  }
}

const maxLogged = 128;

/** The logged parts of a request, truncated: callers choose their length. */
export function subjectOf(request: unknown): { vm?: string; requestId?: string } {
  if (typeof request !== "object" || request === null) return {};
  const { vm, requestId } = request as { vm?: unknown; requestId?: unknown };
  return defined({
    vm: typeof vm === "string" ? vm.slice(0, maxLogged) : undefined,
    requestId: typeof requestId === "string" ? requestId.slice(0, maxLogged) : undefined,
  });
}
