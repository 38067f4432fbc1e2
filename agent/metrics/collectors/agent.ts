import { collector, ofReader } from "../collector.ts";
import { counter, gauge, histogram } from "../family.ts";

export const agentFacts = collector(
  "agent",
  {
    info: gauge("socle_agent_info", "Versions of the agent and of Node; always 1.", ["version", "node"]),
    started: gauge("socle_agent_start_timestamp_seconds", "When the agent started."),
    epoch: gauge("socle_agent_epoch", "Starts of the agent over the host's life."),
    generation: gauge("socle_agent_generation", "Changes of what the agent reports to the scheduler."),
    sequence: gauge("socle_agent_event_sequence", "Sequence number of the newest lifecycle event."),
    running: gauge("socle_agent_operations_running", "Operations under way."),
    retained: gauge("socle_agent_operations_retained", "Operations kept, including those that ended."),
    operations: counter("socle_operations_total", "Operations that ended since the agent started.", [
      "kind",
      "outcome",
    ]),
    durations: histogram("socle_operation_duration_seconds", "From the request of an operation to its end.", [
      "kind",
    ]),
    transfers: gauge("socle_transfers_running", "Operations that copy a disk, an image or a memory now.", [
      "kind",
    ]),
    transferRemaining: gauge(
      "socle_transfer_remaining_bytes",
      "Bytes that the operations of a kind have yet to copy.",
      ["kind"],
    ),
    transferSpeed: gauge(
      "socle_transfer_bytes_per_second",
      "Speed of the copies of a kind over the last seconds, together.",
      ["kind"],
    ),
  },
  ({ agent }, emit) => {
    const facts = agent();
    emit.info(1, facts.version, process.versions.node);
    emit.started(facts.startedAtMs / 1000);
    emit.epoch(facts.epoch);
    emit.generation(facts.generation);
    emit.sequence(facts.eventSequence);
    emit.running(facts.operations?.running);
    emit.retained(facts.operations?.retained);
    for (const [kind, { byEnd, durations }] of facts.operations?.byKind ?? []) {
      for (const [outcome, count] of Object.entries(byEnd))
        emit.operations(count, kind.toLowerCase(), outcome);
      emit.durations(durations, kind.toLowerCase());
    }
    for (const [kind, totals] of facts.operations?.transfers ?? []) {
      emit.transfers(totals.running, kind.toLowerCase());
      emit.transferRemaining(totals.remainingBytes, kind.toLowerCase());
      emit.transferSpeed(totals.bytesPerSecond, kind.toLowerCase());
    }
  },
);

export const agentEventLoop = ofReader(
  "agent_event_loop",
  "eventLoopLag",
  {
    p99: gauge(
      "socle_agent_event_loop_lag_p99_seconds",
      "99th percentile of the event loop's lag in the last interval.",
    ),
    max: gauge(
      "socle_agent_event_loop_lag_max_seconds",
      "Maximum of the event loop's lag in the last interval.",
    ),
  },
  (lag, emit) => {
    emit.p99(lag.p99Ms / 1000);
    emit.max(lag.maxMs / 1000);
  },
);
