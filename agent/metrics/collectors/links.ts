import { collector, ofReader } from "../collector.ts";
import { counter, gauge, histogram } from "../family.ts";

export const libvirtLink = collector(
  "libvirt",
  {
    connected: gauge("socle_libvirt_connected", "1 while the agent is connected to libvirt."),
    reconnects: counter("socle_libvirt_reconnects_total", "Reconnections to libvirt."),
    calls: counter("socle_libvirt_calls_total", "Calls to libvirt, by how they ended.", ["outcome"]),
    durations: histogram("socle_libvirt_call_duration_seconds", "How long calls to libvirt took."),
    pending: gauge("socle_libvirt_pending_calls", "Calls that wait for libvirt's answer."),
  },
  ({ libvirt }, emit) => {
    const link = libvirt();
    emit.connected(link.connected ? 1 : 0);
    emit.reconnects(link.reconnects);
    for (const [outcome, count] of Object.entries(link.calls?.byOutcome ?? {})) emit.calls(count, outcome);
    emit.durations(link.calls?.durations);
    emit.pending(link.calls?.pending);
  },
);

export const schedulerLink = collector(
  "scheduler",
  {
    connected: gauge("socle_scheduler_connected", "1 while the scheduler has accepted the agent's session."),
    connects: counter("socle_scheduler_connects_total", "Sessions with the scheduler that were opened."),
    acked: gauge("socle_scheduler_ack_timestamp_seconds", "When the scheduler last acknowledged a report."),
  },
  ({ scheduler }, emit) => {
    const link = scheduler();
    if (link === undefined) return;
    emit.connected(link.connected ? 1 : 0);
    emit.connects(link.connects);
    if (link.lastAckAtMs !== undefined) emit.acked(link.lastAckAtMs / 1000);
  },
);

export const hostCertificate = ofReader(
  "host_certificate",
  "certificate",
  {
    life: gauge("socle_host_certificate_lifetime_seconds", "Total lifetime of the host's own certificate."),
    remaining: gauge(
      "socle_host_certificate_remaining_seconds",
      "Remaining lifetime of the host's own certificate; negative once expired.",
    ),
  },
  (certificate, emit, { nowMs }) => {
    const { notBeforeMs, notAfterMs } = certificate;
    emit.life((notAfterMs - notBeforeMs) / 1000);
    emit.remaining((notAfterMs - nowMs()) / 1000);
  },
);
