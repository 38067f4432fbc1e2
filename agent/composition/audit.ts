import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { splitAddress } from "../api/listener.ts";
import {
  auditHealth,
  certificateTrail,
  Forwarder,
  journalSink,
  operationTrail,
  syslogSink,
} from "../audit/index.ts";
import type { Service } from "../kernel/lifecycle/service.ts";
import type { AuditFacts } from "../metrics/sources.ts";
import { files, serialOf, type Trust } from "../trust/index.ts";
import type { Basis } from "./basis.ts";
import type { Hypervisor } from "./hypervisor.ts";
import type { State } from "./state.ts";

/** The audit log, with the services that write and forward it. */
export interface Auditing {
  readonly services: readonly Service[];
  facts(): AuditFacts;
}

export function buildAuditing(
  { config, clock, log }: Basis,
  { audit, operations }: State,
  { hypervisor, trust }: { hypervisor: Hypervisor; trust: Trust },
): Auditing {
  const { host, table } = hypervisor;
  const { journal, syslog, syslogAuthorities } = config.audit;
  const authorities = syslogAuthorities ?? join(config.trust.directory, files.authorities);
  const tls = async () => {
    const { cert, key } = trust.material?.tls ?? {};
    return { ca: await readFile(authorities), ...(cert !== undefined && key !== undefined && { cert, key }) };
  };
  const isRevoked = (serial: string): boolean => trust.material?.revoked.has(serialOf(serial)) ?? false;
  const sinks = [
    ...(journal ? [journalSink()] : []),
    ...(syslog === null ? [] : [syslogSink(splitAddress(syslog), hostname(), tls, isRevoked)]),
  ];
  // Without the log's entries, a forwarder would reset its cursor to 0, and repeat all of them after the next start.
  const forwarders = (audit.state.unreadable === undefined ? sinks : []).map(
    (sink) => new Forwarder({ audit, sink, clock, log }),
  );
  return {
    services: [
      ...forwarders,
      auditHealth(audit, forwarders, (trouble) => host.reports.reportAudit(trouble), clock),
      operationTrail(audit, operations, (id) => table.get(id)?.tenant ?? ""),
      certificateTrail(audit, trust),
    ],
    facts() {
      const { sequence, bytes, refused, unreadable } = audit.state;
      const states = forwarders.flatMap(({ state }) => (state === undefined ? [] : [state]));
      const size = unreadable === undefined ? { sequence, bytes } : {};
      return { ...size, refused, writable: audit.failure === undefined, sinks: states };
    },
  };
}
