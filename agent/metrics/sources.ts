import type { ForwardState } from "../audit/index.ts";
import type { HostView } from "../host/host.ts";
import type { HostReadings } from "../host/health/readers/table.ts";
import type { TenantShare } from "../host/capacity/tenant-quotas.ts";
import type { CallTotals } from "../libvirt/index.ts";
import type { OperationTotals } from "../state/operations/tally.ts";
import type { TransferTotals } from "../state/operations/transfers.ts";
import type { VmIncidents, VmView } from "../vm/model/vm.ts";

/** Data sources of collectors. All answer from memory: no scrape waits for libvirt or a sensor. */
export interface Sources {
  readonly vms: VmView;
  readonly incidents: (vmId: string) => VmIncidents;
  /** Whether the file systems of a VM's guest are frozen. */
  readonly isFrozen: (vmId: string) => boolean;
  readonly host: HostView;
  readonly readings: HostReadings;
  readonly libvirt: () => LibvirtLink;
  readonly scheduler: () => SchedulerLink | undefined;
  readonly agent: () => AgentFacts;
  readonly load: () => Load;
  readonly audit: () => AuditFacts;
  /** The images of this host; undefined before the pools were read. */
  readonly images: () => readonly { readonly pool: string; readonly sizeBytes: number }[] | undefined;
  /** Images that the agent deleted from full pools since its start. */
  readonly imagesCollected: () => { readonly count: number; readonly bytes: number };
  /** Starts by the agent itself, since its start. */
  readonly ownStarts: () => {
    readonly autostartFailures: number;
    readonly restarts: number;
    readonly exhausted: number;
  };
  /** Of VMs, since the start of the agent. */
  readonly backups: () => { readonly abandoned: number; readonly bytesRead: number };
  /** Tenants with VMs or reservations on this host. */
  readonly tenants: () => readonly TenantShare[];
  /** How often VM statistics are read. */
  readonly sampleIntervalMs: number;
  /** Wall clock of the scrape. */
  readonly nowMs: () => number;
  /** The same moment on the monotonic clock: ages use it. */
  readonly monotonicMs: () => number;
}

interface LibvirtLink {
  readonly connected: boolean;
  readonly reconnects?: number;
  readonly calls?: CallTotals;
}

interface SchedulerLink {
  readonly connected: boolean;
  readonly connects?: number;
  readonly lastAckAtMs?: number;
}

/** The agent's load: open, queued and refused work. */
interface Load {
  /** By class of call: open now, refused since the start. */
  readonly calls: readonly { readonly kind: string; readonly open: number; readonly refused: number }[];
  readonly connections: readonly {
    readonly listener: string;
    readonly open: number;
    readonly refused: number;
  }[];
  /** Unread answers; abandoned since the start. */
  readonly answers: { readonly bytes: number; readonly abandoned: number };
  readonly work: { readonly taken: number; readonly waiting: number };
  /** Changes accepted by break-glass since the start. */
  readonly brokenGlass: number;
  readonly journalPendingBytes: number;
}

/** The audit log and its sinks. */
export interface AuditFacts {
  /** Both are absent when the log could not be read. */
  readonly sequence?: number;
  readonly bytes?: number;
  readonly writable: boolean;
  readonly refused: number;
  readonly sinks: readonly ForwardState[];
}

interface AgentFacts {
  readonly version: string;
  readonly startedAtMs: number;
  readonly epoch?: number;
  readonly generation?: number;
  readonly eventSequence?: number;
  readonly operations?: {
    readonly running: number;
    readonly retained: number;
    readonly byKind: ReadonlyMap<string, OperationTotals>;
    readonly transfers: ReadonlyMap<string, TransferTotals>;
  };
}
