import { setTimeout as pause } from "node:timers/promises";
import { isEnded } from "../requests.ts";
import { operationsIn, vmsIn, type Message } from "../simulated/reads.ts";
import { callers } from "../simulated/schedule.ts";
import type { SimulatedCallers } from "../simulated/simulated-callers.ts";
import type { EffectLog } from "./effect-tap.ts";
import type { RealAgent } from "./real-agent.ts";
import type { RealHost } from "./real-host.ts";

const QUIET_WITHIN_MS = 75_000;
const SEEN_WITHIN_MS = 10_000;

/** The reads at the end of a history. */
export class RealReads {
  readonly #host: RealHost;
  readonly #log: EffectLog;
  readonly #callers: SimulatedCallers;
  readonly #agent: () => RealAgent | undefined;

  constructor(host: RealHost, log: EffectLog, calling: SimulatedCallers, agent: () => RealAgent | undefined) {
    this.#host = host;
    this.#log = log;
    this.#callers = calling;
    this.#agent = agent;
  }

  /** Recorded as a call of this caller. */
  async ask(method: string, request: object, caller: number, operation?: string): Promise<void> {
    await new Promise<void>((done) => {
      this.#callers.send(method, request, caller, operation === undefined ? {} : { operation }, done);
    });
  }

  /** Waits until every operation has ended, or the time is over; the checker reports the rest. */
  async untilQuiet(): Promise<void> {
    const untilMs = performance.now() + QUIET_WITHIN_MS;
    for (;;) {
      // After the last answer, since a running call may still become an operation.
      const areAnswered = this.#callers.waiting === 0;
      const answer = await this.#unrecorded("ListOperations");
      const open = answer && operationsIn("ListOperations", answer).some((operation) => !isEnded(operation));
      const isQuiet = areAnswered && open === false && this.#log.open === 0;
      if (isQuiet || performance.now() > untilMs) return;
      await pause(50);
    }
  }

  /** Waits until the agent shows libvirt's states. */
  async untilSeen(): Promise<void> {
    const untilMs = performance.now() + SEEN_WITHIN_MS;
    const states = (all: readonly (readonly [string, string])[]): string => JSON.stringify([...all].sort());
    for (;;) {
      const answer = await this.#unrecorded("ListVms");
      const seen = states(vmsIn("ListVms", answer ?? {}).map(({ id, state }) => [id, state]));
      const there = states((await this.#host.domains()).map(({ vm, state }) => [vm, state]));
      if (seen === there || performance.now() > untilMs) return;
      await pause(50);
    }
  }

  /** As the operator; undefined: no reply. */
  #unrecorded(method: string): Promise<Message | undefined> {
    return new Promise((resolve) => {
      const [operator] = callers;
      const agent = this.#agent();
      if (agent === undefined || operator === undefined) resolve(undefined);
      else {
        const by = { caller: operator, controlEpoch: undefined, deliver: (arrived: () => void) => arrived() };
        agent.call(method, { pageSize: 1000 }, by, ({ response }) => resolve(response));
      }
    });
  }
}
