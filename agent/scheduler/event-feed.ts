import { SocleError } from "../kernel/errors.ts";
import type { EventLog } from "../state/events/event-log.ts";
import type { HostEvent } from "../state/events/event.ts";

export type Events = Pick<EventLog, "subscribe" | "newestSequence" | "oldestSequence" | "logId">;

/** The stamp of a `resync` event, which replaces lost ones. */
interface Stamp {
  readonly agentEpoch: number;
  readonly now: () => number;
}

/**
 * Every event after `known`, then each as it happens. Where the log has a gap there (events were dropped, or it is another
 * log), a `resync` comes first: its sequence is the one before the next.
 */
export async function* followEvents(
  events: Events,
  { sequence: known, logId }: { readonly sequence: number; readonly logId: string },
  stamp: Stamp,
  signal: AbortSignal,
): AsyncGenerator<HostEvent, void, undefined> {
  const resync = (sequence: number, reason: string): HostEvent => ({
    sequence,
    agentEpoch: stamp.agentEpoch,
    timeMs: stamp.now(),
    kind: "resync",
    reason,
    details: { known_sequence: String(known) },
  });
  let after = known;
  let afterLog = logId;
  let lost: string | undefined;
  for (;;) {
    try {
      const feed = events.subscribe({ afterSequence: after, logId: afterLog }, signal);
      if (lost !== undefined) yield resync(after, lost);
      for await (const event of feed) {
        yield event.kind === "overflow" ? resync(events.newestSequence, "EVENTS_EXPIRED") : event;
      }
      return;
    } catch (thrown) {
      if (!(thrown instanceof SocleError) || thrown.kind !== "out_of_range") throw thrown;
      lost = thrown.reason === "EVENTS_EXPIRED" ? "EVENTS_EXPIRED" : "EVENTS_RESET";
      afterLog = "";
      after = events.oldestSequence - 1;
    }
  }
}
