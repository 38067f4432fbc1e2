import type { TestContext } from "node:test";
import { eventToProto } from "../../../agent/api/convert/event.ts";
import { hostToProto } from "../../../agent/api/convert/host.ts";
import { vmToProto } from "../../../agent/api/convert/vm.ts";
import { systemClock, type Clock } from "../../../agent/kernel/clock.ts";
import { createLog } from "../../../agent/kernel/log.ts";
import { SchedulerLink, type SchedulerActor } from "../../../agent/scheduler/link.ts";
import { ReportedState } from "../../../agent/scheduler/state.ts";
import type { Trust } from "../../../agent/trust/index.ts";
import { ControlEpochs } from "../../../agent/state/records/control-epochs.ts";
import { EventLog } from "../../../agent/state/events/event-log.ts";
import { HostRecord } from "../../../agent/state/records/host-record.ts";
import { Position } from "../../../agent/state/records/position.ts";
import { VmTable } from "../../../agent/vm/observation/vm-table.ts";
import type { KnownHost } from "../../scheduler/host.ts";
import { Scheduler, type SchedulerOptions } from "../../scheduler/scheduler.ts";
import { FakeHost, hostSnapshot, protos } from "../api/harness.ts";
import { folder } from "../state/folder.ts";
import { noTrust } from "../trust/no-trust.ts";

export const hostId = hostSnapshot.identity.id;

/** The parts of an agent that the link uses, over a state directory that outlives it. */
export interface FakeAgent {
  readonly table: VmTable;
  readonly host: FakeHost;
  readonly position: Position;
  readonly state: ReportedState;
  readonly events: EventLog;
  readonly link: SchedulerLink;
  readonly logged: Record<string, unknown>[];
  /** Raises of the control epoch, as audited. */
  readonly raised: { readonly from: number; readonly to: number; readonly by: string }[];
  /** Reasons of sessions refused for their control epoch, as audited. */
  readonly refused: readonly string[];
  /** Rejects when the link or the report fails. */
  readonly failed: Promise<unknown>;
  stop(): Promise<void>;
}

export interface AgentOptions {
  readonly address: string | null;
  readonly directory?: string;
  readonly agentEpoch?: number;
  readonly maxEvents?: number;
  readonly trust?: Trust;
  readonly fence?: HostRecord;
  /** Filled before the link starts. */
  readonly table?: VmTable;
  readonly clock?: Clock;
}

export async function startAgent(t: TestContext, options: AgentOptions): Promise<FakeAgent> {
  const { address, agentEpoch = 1, maxEvents = 1000, table = new VmTable(), trust = noTrust } = options;
  const directory = options.directory ?? (await folder(t));
  const logged: Record<string, unknown>[] = [];
  const raised: FakeAgent["raised"] = [];
  const refused: string[] = [];
  const log = createLog({
    level: "debug",
    destination: { write: (line) => void logged.push(JSON.parse(line) as Record<string, unknown>) },
  });
  const { clock = systemClock } = options;
  const events = await EventLog.open({ directory, maxEvents, agentEpoch, clock, log });
  const host = new FakeHost();
  const position = new Position({ agentEpoch });
  const state = new ReportedState({
    vms: table,
    host,
    position,
    clock,
    hostMessage: hostToProto,
    vmMessage: vmToProto,
    log,
  });
  const link = new SchedulerLink({
    config: { address, advertise: null },
    trust,
    service: protos.scheduler,
    state,
    position,
    events,
    eventMessage: eventToProto,
    controlEpochs: new ControlEpochs<SchedulerActor>(
      options.fence ?? (await HostRecord.open(directory)),
      ({ from, to, by }) => Promise.resolve(raised.push({ from, to, by: by.name })),
    ),
    onEpochRefused: (reason) => refused.push(reason),
    identity: () => host.snapshot().identity,
    agentAddress: () => "127.0.0.1:1",
    clock,
    log,
    contactTimeoutMs: 500,
    random: () => 0.1,
  });
  const end = new AbortController();
  const services = [state, link].map((service) => service.run(end.signal, () => undefined));
  const failed = Promise.all(services);
  failed.catch(() => undefined);
  const stop = async (): Promise<void> => {
    end.abort();
    await failed.catch(() => undefined);
    await events.flush();
  };
  t.after(stop);
  return { table, host, position, state, events, link, logged, raised, refused, failed, stop };
}

/** A scheduler, ended with the test, and the host as it knows it. */
export async function startScheduler(t: TestContext, options: SchedulerOptions = {}): Promise<Scheduler> {
  const scheduler = await Scheduler.start({ heartbeatMs: 100, reconnectSpreadMs: 50, ...options });
  t.after(() => scheduler.stop());
  return scheduler;
}

/** Whether the scheduler has the agent's state. */
export function inStep(agent: FakeAgent, known: KnownHost | undefined): boolean {
  return known?.generation === agent.position.generation && known.digest === agent.state.digest;
}
