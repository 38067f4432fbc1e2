import { collector } from "../collector.ts";
import { counter, gauge } from "../family.ts";

export const load = collector(
  "load",
  {
    open: gauge("socle_api_calls_open", "Open calls of the API.", ["class"]),
    refused: counter("socle_api_calls_refused_total", "Calls refused because there were too many.", [
      "class",
    ]),
    connections: gauge("socle_api_connections_open", "Connections to the API.", ["listener"]),
    turnedAway: counter(
      "socle_api_connections_refused_total",
      "Connections refused: unauthenticated, or above a limit.",
      ["listener"],
    ),
    answers: gauge("socle_api_replies_unread_bytes", "Replies that their callers have not read yet."),
    abandoned: counter(
      "socle_api_replies_abandoned_total",
      "Calls reset because their caller did not read the reply in time.",
    ),
    brokenGlass: counter(
      "socle_break_glass_calls_total",
      "Changes accepted by break-glass, without a person's token.",
    ),
    working: gauge("socle_vm_heavy_operations_running", "Creates, starts and deletes in progress."),
    waiting: gauge("socle_vm_heavy_operations_queued", "Queued creates, starts and deletes."),
    journal: gauge("socle_journal_pending_bytes", "Bytes to be written to the operations journal."),
  },
  ({ load: read }, emit) => {
    const { calls, connections, answers, work, brokenGlass, journalPendingBytes } = read();
    for (const { kind, open, refused } of calls) {
      emit.open(open, kind);
      emit.refused(refused, kind);
    }
    for (const { listener, open, refused } of connections) {
      emit.connections(open, listener);
      emit.turnedAway(refused, listener);
    }
    emit.answers(answers.bytes);
    emit.abandoned(answers.abandoned);
    emit.brokenGlass(brokenGlass);
    emit.working(work.taken);
    emit.waiting(work.waiting);
    emit.journal(journalPendingBytes);
  },
);
