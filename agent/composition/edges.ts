import { eventToProto } from "../api/convert/event.ts";
import { hostToProto } from "../api/convert/host.ts";
import { vmToProto } from "../api/convert/vm.ts";
import { tenantRules } from "../config/tenants.ts";
import { loadContract, type Contract } from "../contract/load.ts";
import { ApiServer } from "../api/server.ts";
import type { ServiceDependencies } from "../api/services/dependencies.ts";
import type { Service } from "../kernel/lifecycle/service.ts";
import { allCollectors } from "../metrics/collectors/index.ts";
import { Exposition } from "../metrics/render.ts";
import { metricsServer, whyNotReady } from "../metrics/server.ts";
import type { Sources } from "../metrics/sources.ts";
import { Enrollment } from "../scheduler/enrollment.ts";
import type { StatusPage } from "../page/page.ts";
import { SchedulerLink } from "../scheduler/link.ts";
import { ReportedState } from "../scheduler/state.ts";
import { operationDrain } from "../state/operations/drain.ts";
import { operationEvents } from "../state/events/operation-events.ts";
import { Retention } from "../state/operations/retention.ts";
import { transfersOf } from "../state/operations/transfers.ts";
import type { People, Trust } from "../trust/index.ts";
import { operationKinds } from "../vm/operations/registry.ts";
import { buildAuditing, type Auditing } from "./audit.ts";
import type { Basis } from "./basis.ts";
import type { Hypervisor } from "./hypervisor.ts";
import { buildPage } from "./page.ts";
import { personVerifier } from "./people.ts";
import type { State } from "./state.ts";
import { defined } from "../kernel/defined.ts";

/** Time for running operations once the agent stops; the next start settles the rest. */
const DRAIN_MS = 10_000;

/** The agent's interfaces: its API, its metrics, its scheduler link. */
interface Edges {
  /** Services that start first and stop last: probes see that the agent is not ready. */
  readonly probes: readonly Service[];
  /** The other services, from the hypervisor's on, in order of start. */
  readonly services: readonly Service[];
  /** Publishes the agent's readiness to clients and probes. */
  setServing(serving: boolean): void;
}

/** `protoDirectory` holds `socle/v1/*.proto`, `pageDirectory` the status page. */
export function buildEdges(
  basis: Basis,
  state: State,
  { hypervisor, trust, people }: { hypervisor: Hypervisor; trust: Trust; people: People },
  { protoDirectory, pageDirectory }: { protoDirectory: string; pageDirectory: string },
): Edges {
  const { config, clock, log } = basis;
  const { position, operations, events } = state;
  const { host, table, settler } = hypervisor;
  const protos = loadContract(protoDirectory);
  const reported = new ReportedState({
    vms: table,
    host,
    position,
    clock,
    hostMessage: hostToProto,
    vmMessage: vmToProto,
    log,
  });
  const enrollment = new Enrollment({
    config: config.trust,
    environment: basis.environment,
    trust,
    service: protos.enrollment,
    identity: () => host.snapshot().identity,
    clock,
    log,
  });
  const api = buildApi(basis, state, { hypervisor, trust, people, enrollment }, protos);
  const scheduler = new SchedulerLink({
    config: config.scheduler,
    trust,
    service: protos.scheduler,
    state: reported,
    position,
    events,
    eventMessage: eventToProto,
    controlEpochs: state.controlEpochs,
    onEpochRefused: (reason, by) =>
      state.audit.noteRepeatable({
        act: "control_epoch_raised",
        caller: by,
        outcome: "refused",
        reason,
      }),
    identity: () => host.snapshot().identity,
    agentAddress: () => config.scheduler.advertise ?? addressOf(config.api.listen, api.tcpPort),
    clock,
    log,
  });
  const auditing = buildAuditing(basis, state, { hypervisor, trust });
  let isServing = false;
  const sources = metricsSources(basis, state, hypervisor, { scheduler, api, auditing });
  const page = buildPage(basis, state, hypervisor, { links: sources, directory: pageDirectory });
  const metrics = buildMetrics(basis, { sources, page }, () => ({
    serving: isServing,
    listed: table.complete,
    refusal: state.permit.refusal ?? operations.failure ?? state.audit.failure,
    reportFailed: reported.failure !== undefined,
  }));
  return {
    services: [
      reported,
      operationEvents(operations, events),
      ...auditing.services,
      operationDrain(operations, DRAIN_MS),
      new Retention(clock, [operations, state.reservations]),
      // It ends the transfers before the drain waits for operations.
      hypervisor.imageStore,
      settler,
      enrollment,
      api,
      scheduler,
      ...(page === undefined ? [] : [page]),
    ],
    probes: metrics,
    setServing(serving) {
      isServing = serving;
      api.setServing(serving);
    },
  };
}

function buildApi(
  basis: Basis,
  state: State,
  parts: { hypervisor: Hypervisor; trust: Trust; people: People; enrollment: Enrollment },
  protos: Contract,
): ApiServer {
  const { config, clock, log } = basis;
  const { record, position, operations, events, audit } = state;
  const { hypervisor, trust, enrollment } = parts;
  const { host, reservations, table, vms, screens, images, poolVolumes, imageStore, backupReads } =
    hypervisor;
  const positionNow = (): ReturnType<ServiceDependencies["position"]> => ({
    bootId: host.snapshot().identity.bootId,
    agentEpoch: record.agentEpoch,
    generation: position.generation,
    eventSequence: events.newestSequence,
    eventLogId: events.logId,
  });
  const trustState: ServiceDependencies["trust"] = {
    state: () => ({
      domain: config.trust.domain,
      insecureListen: config.trust.domain === null ? (config.api.listen ?? undefined) : undefined,
      material: trust.material,
      renewsAtMs: enrollment.renewsAtMs,
      problem: trust.problem ?? trust.rolledBack ?? enrollment.failure,
    }),
    enroll: (address, token, fingerprint, signal) => enrollment.enroll(address, token, fingerprint, signal),
  };
  const dependencies = {
    vmView: table,
    vms,
    screens,
    backups: backupReads,
    images,
    poolVolumes,
    imageStore,
    operations,
    reservations,
    events,
    host,
    trust: trustState,
    controlEpochs: state.controlEpochs,
    audit,
    position: positionNow,
    defaultAccelerator: () => vms.defaultAccelerator(),
    networksOf: (tenant: string) => tenantRules(config.tenants, tenant).networks,
  };
  const people = personVerifier(basis, state, { people: parts.people, host });
  return new ApiServer({ config: config.api, protos, dependencies, trust, audit, people, clock, log });
}

function buildMetrics(
  { config: { metrics }, clock, log }: Basis,
  { sources, page }: { sources: Sources; page: StatusPage | undefined },
  seen: () => Parameters<typeof whyNotReady>[0],
): readonly Service[] {
  if (metrics.listen === null) return [];
  const exposition = new Exposition({
    collectors: allCollectors(),
    disabled: metrics.disabledCollectors,
    clock,
    log,
    sources,
  });
  const readiness = () => whyNotReady(seen());
  return [metricsServer({ listen: metrics.listen, log, readiness, exposition, page })];
}

const metricsSources = (
  { version, clock }: Basis,
  { record, position, operations, events }: State,
  hypervisor: Hypervisor,
  { scheduler, api, auditing }: { scheduler: SchedulerLink; api: ApiServer; auditing: Auditing },
): Sources => {
  const { host, table, vms, freezes, imageStore, libvirt, sampleIntervalMs } = hypervisor;
  const { autostart, crashRestarts, backupReads, backupWatch, imageCollector } = hypervisor;
  return {
    vms: table,
    incidents: (id) => table.incidents(id),
    isFrozen: (id) => freezes.isFrozen(id),
    host,
    readings: host.readings,
    libvirt: () => ({
      connected: libvirt.status.connected,
      reconnects: libvirt.reconnects,
      calls: libvirt.calls,
    }),
    scheduler: () => {
      const { state, connects, lastAckAtMs } = scheduler.status;
      if (state === "disabled") return undefined;
      return defined({ connected: state === "connected", connects, lastAckAtMs });
    },
    agent: () => ({
      version,
      startedAtMs: host.snapshot().identity.agentStartedAtMs,
      epoch: record.agentEpoch,
      generation: position.generation,
      eventSequence: events.newestSequence,
      operations: {
        running: operations.running,
        retained: operations.retained,
        byKind: new Map(operationKinds.map((kind) => [kind, operations.totals(kind)])),
        transfers: transfersOf(operations.list({ onlyRunning: true, limit: operations.running })),
      },
    }),
    load: () => ({
      calls: api.callCounts,
      connections: api.connectionCounts,
      answers: api.answerCounts,
      work: vms.permits,
      brokenGlass: api.brokenGlass,
      journalPendingBytes: operations.journalPendingBytes,
    }),
    audit: () => auditing.facts(),
    images: () => imageStore.seen(),
    imagesCollected: () => imageCollector?.collected ?? { count: 0, bytes: 0 },
    ownStarts: () => ({ ...crashRestarts.counts, autostartFailures: autostart.failures }),
    backups: () => ({ abandoned: backupWatch.abandoned, bytesRead: backupReads.bytesRead }),
    tenants: () => host.tenants(),
    sampleIntervalMs,
    nowMs: () => clock.now(),
    monotonicMs: () => clock.monotonicMs(),
  };
};

/** The configured address with its actual port; empty without TCP. */
const addressOf = (listen: string | null, port: number | undefined): string =>
  listen === null || port === undefined ? "" : `${listen.slice(0, listen.lastIndexOf(":"))}:${port}`;
