import { once } from "node:events";
import { Backoff } from "../../kernel/concurrency/backoff.ts";
import { systemClock } from "../../kernel/clock.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { Event__Output } from "../../gen/socle/v1/Event.ts";
import { EventKind } from "../../gen/socle/v1/EventKind.ts";
import { usageError } from "../errors.ts";
import { enumWord, printable, toMs } from "../format.ts";
import type { Paint } from "../io.ts";
import type { Command, Session } from "../session.ts";

interface Options {
  readonly after?: number;
  readonly sinceStart?: boolean;
  readonly follow?: boolean;
  readonly kind?: readonly string[];
  readonly vm?: string;
}

/**
 * Prints events, from now or from a given one, until the newest or Ctrl-C (exit code 0). It waits for an agent that goes
 * away and resumes after the last event. An agent with an older state has another event log: then it starts at the
 * agent's start.
 */
export const events: Command = async (session, _args, options: Options) => {
  const kinds = (options.kind ?? []).map(eventKind);
  const agent = await session.agent();
  const { position } = await agent.ask(agent.contract.host.GetHost, {});
  const newest = position?.eventSequence ?? 0;
  const fromNow = options.after === undefined && options.sinceStart !== true && options.follow !== false;
  const last = options.follow === false ? newest : Infinity;
  // Filtered here and not by the agent: --no-follow ends with the newest event, of any kind.
  const wanted = (event: Event__Output): boolean =>
    (kinds.length === 0 || kinds.includes(event.kind)) &&
    (options.vm === undefined || event.vmId === options.vm || event.vmName === options.vm) &&
    event.agentEpoch >= fromEpoch;
  let fromEpoch = options.sinceStart === true ? (position?.agentEpoch ?? 0) : 0;
  let afterSequence = fromNow ? newest : (options.after ?? 0);
  let logId = fromNow ? (position?.eventLogId ?? "") : "";
  const backoff = new Backoff({ baseMs: 500, capMs: 10_000 });
  let waiting = false;
  let isReplaced = false;
  while (afterSequence < last) {
    try {
      if (isReplaced) {
        fromEpoch = await epochNow(session);
        [afterSequence, logId, isReplaced] = [0, "", false];
      }
      for await (const event of await subscribe(session, { afterSequence, logId })) {
        if (wanted(event)) await print(session, event);
        ({ sequence: afterSequence, logId } = event);
        waiting = false;
        backoff.reset();
        if (afterSequence >= last) return undefined;
      }
      throw new SocleError("unavailable", "STREAM_ENDED", "the agent ended the stream of events");
    } catch (thrown) {
      if (session.interrupt.aborted) return undefined;
      if (!(thrown instanceof SocleError)) throw thrown;
      if (thrown.reason === "EVENT_LOG_REPLACED" && last === Infinity) {
        const note = `${thrown.message}; its events since the agent's start follow`;
        session.note(session.paintNote("yellow", note));
        isReplaced = true;
        continue;
      }
      if (thrown.kind !== "unavailable") throw thrown;
      if (!waiting) session.note(session.paintNote("yellow", `${thrown.message}; waiting for the agent`));
      waiting = true;
      await session.close();
      await systemClock.sleep(backoff.nextMs(), session.interrupt).catch(() => undefined);
    }
  }
  return undefined;
};

async function epochNow(session: Session): Promise<number> {
  const agent = await session.agent();
  return (await agent.ask(agent.contract.host.GetHost, {})).position?.agentEpoch ?? 0;
}

async function subscribe(
  session: Session,
  from: { readonly afterSequence: number; readonly logId: string },
): Promise<AsyncIterable<Event__Output>> {
  const agent = await session.agent();
  return agent.watch(agent.contract.events.Subscribe, from);
}

async function print(session: Session, event: Event__Output): Promise<void> {
  if (session.json) session.printJson(event, true);
  else session.print(renderEvent(event, session.paint));
  const { stdout } = session.io;
  if (stdout.writableNeedDrain) await once(stdout, "drain", { signal: session.interrupt });
}

function eventKind(word: string): EventKind {
  const name = `EVENT_KIND_${word.toUpperCase().replaceAll("-", "_")}`;
  const known = Object.values(EventKind).filter((kind) => kind !== "EVENT_KIND_UNSPECIFIED");
  const found = known.find((kind) => kind === name);
  if (found !== undefined) return found;
  const words = known.map((kind) => enumWord(kind, "EVENT_KIND"));
  throw usageError(`--kind takes one of ${words.join(", ")}; not '${word}'`);
}

/** One event in one line: time, sequence, kind, subject, state. */
function renderEvent(event: Event__Output, paint: Paint): string {
  const time = new Date(toMs(event.time) ?? 0).toISOString().replace("T", " ");
  const kind = enumWord(event.kind, "EVENT_KIND");
  const state = event.vmState === "VM_STATE_UNSPECIFIED" ? "" : enumWord(event.vmState, "VM_STATE");
  const details = Object.entries(event.details).map(([key, value]) => `${key}=${value}`);
  const words = [event.vmName || event.vmId, state, event.reason, ...details].filter((word) => word !== "");
  const alarming =
    /panicked|autostart_failed|crash_|abandoned|unresponsive|io_error|memory_failure|watchdog|disconnected/.test(
      kind,
    );
  return `${paint("dim", time)}  ${String(event.sequence).padStart(6)}  ${paint(alarming ? "red" : "bold", kind)}  ${printable(words.join("  "))}\n`;
}
