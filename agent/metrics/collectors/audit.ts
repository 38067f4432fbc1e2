import { collector } from "../collector.ts";
import { counter, gauge } from "../family.ts";

export const audit = collector(
  "audit",
  {
    entries: counter("socle_audit_entries_total", "Entries of the audit log over the host's life."),
    bytes: gauge("socle_audit_bytes", "Size of the audit log on disk."),
    writable: gauge("socle_audit_writable", "Whether acts can be recorded; where not, changes are refused."),
    refused: counter("socle_audit_refused_total", "Acts that could not be recorded since the agent's start."),
    connected: gauge("socle_audit_sink_connected", "Whether the sink is connected.", ["sink"]),
    lag: gauge("socle_audit_sink_lag_entries", "Entries that the sink has not received yet.", ["sink"]),
    lagSeconds: gauge("socle_audit_sink_lag_seconds", "How long the sink has lacked entries.", ["sink"]),
    lost: counter("socle_audit_sink_lost_total", "Entries that were deleted before the sink received them.", [
      "sink",
    ]),
  },
  ({ audit: read }, emit) => {
    const { sequence, bytes, writable, refused, sinks } = read();
    emit.entries(sequence);
    emit.bytes(bytes);
    emit.writable(writable ? 1 : 0);
    emit.refused(refused);
    for (const { name, connected, lagEntries, lagSeconds, lost } of sinks) {
      emit.connected(connected ? 1 : 0, name);
      emit.lag(lagEntries, name);
      emit.lagSeconds(lagSeconds, name);
      emit.lost(lost, name);
    }
  },
);
