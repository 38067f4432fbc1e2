import type { HostUsage, HostView } from "../host/host.ts";
import type { EventLog } from "../state/events/event-log.ts";
import type { Operations } from "../state/operations/operations.ts";
import type { SampledVms } from "../vm/model/vm.ts";

/** The page's data sources. All answer from memory. */
export interface PageSources {
  readonly vms: SampledVms;
  readonly host: HostView & { usage(): HostUsage };
  readonly operations: Pick<Operations, "list" | "watch" | "failure">;
  readonly backups: {
    leaseUntilMs(vmId: string, id: string): number | undefined;
    scratchUsedBytes(vmId: string): number;
  };
  readonly events: Pick<EventLog, "subscribe" | "recent">;
  readonly links: () => PageLinks;
  /** How often VM statistics are read. */
  readonly sampleIntervalMs: number;
  /** Wall clock. */
  readonly nowMs: () => number;
}

/** The agent's connections. */
export interface PageLinks {
  readonly libvirt: boolean;
  /** Absent if not configured. */
  readonly scheduler?: boolean;
}
