/**
 * A history: the events of one agent as callers, libvirt and the fault injector saw them, in one order. Recorders outside the
 * agent write it, the checker reads it; README.md explains the rules. JSON lines, one event per line.
 */
export type HistoryEvent = { readonly atMs: number } & HistoryFact;

export type HistoryFact =
  | RequestBegin
  | RequestAnswer
  | AnswerDelivered
  | PlaceLeft
  | OperationSeen
  | EffectBegin
  | EffectEnd
  | Fault
  | AgentStart
  | AgentReady
  | AgentEnd
  | ControlEpochSeen
  | WorldSeen;

export type History = readonly HistoryEvent[];

/** A caller sends a request. Recorded before its first byte leaves. */
export interface RequestBegin {
  readonly event: "request";
  /** The call's number in the history; its answer has the same number. A retry of a request is another call. */
  readonly seq: number;
  readonly caller: string;
  /** `operator` and `scheduler` may change everything; `viewer` reads. */
  readonly role: "operator" | "scheduler" | "viewer";
  /** The caller is scoped to this tenant. Absent: unscoped. */
  readonly tenant?: string;
  /** As in the contract: `CreateVm`, `StopVm`, `GetVm`, `GetOperation`, ... */
  readonly method: string;
  /** Only mutations. */
  readonly requestId?: string;
  /** The VM's id; the recorder resolves names. */
  readonly vm?: string;
  /** Calls about one operation: its id. */
  readonly operation?: string;
  /** The digest of the body without the request id: equal digests are equal requests. */
  readonly digest: string;
  readonly etag?: string;
  readonly force?: boolean;
  /** DeleteVm keeps the VM's disks. */
  readonly keepDisks?: boolean;
  readonly controlEpoch?: number;
  /** CreateVm: the tenant in its spec. */
  readonly specTenant?: string;
}

/**
 * - `ok`: the agent executes the request, or returns the data.
 * - `refused`: the agent returned an error that guarantees no effect.
 * - `unknown`: no answer, or one without a guarantee (`outcome_unknown`, lost connection, caller's deadline).
 */
export type Outcome = "ok" | "refused" | "unknown";

/** The answer, recorded once the caller has all of it. A call without an answer gets `unknown` at the end. */
export interface RequestAnswer {
  readonly event: "answer";
  readonly seq: number;
  readonly outcome: Outcome;
  /** The reason of the SocleError or ErrorInfo: `OPERATION_UNSETTLED`, `ETAG_MISMATCH`, ... */
  readonly reason?: string;
  /** Mutations, and reads of operations. */
  readonly operations?: readonly OperationRead[];
  /** GetVm, ListVms. */
  readonly vms?: readonly VmRead[];
  /** ListVms and ListOperations returned everything; missing objects are absent. */
  readonly complete?: boolean;
  readonly agentEpoch?: number;
}

export interface OperationRead {
  readonly id: string;
  readonly kind: string;
  readonly vm: string;
  readonly requestId?: string;
  readonly caller?: string;
  readonly state: OperationState;
  /** The instance of the VM that the operation is bound to, if the agent shows it. */
  readonly instance?: string;
  readonly reason?: string;
}

export type OperationState = "pending" | "running" | "succeeded" | "failed" | "cancelled" | "unknown";

export interface VmRead {
  readonly id: string;
  readonly tenant?: string;
  readonly instance?: string;
  readonly etag: string;
  readonly presence: "present" | "unknown";
  readonly state: string;
  readonly observedAtMs: number;
  readonly placementEpoch?: number;
}

/** The last byte of the answer was sent, or the caller's connection is closed. */
export interface AnswerDelivered {
  readonly event: "delivered";
  readonly seq: number;
}

/** The agent released the call's permit. */
export interface PlaceLeft {
  readonly event: "place_left";
  readonly seq: number;
}

/** A change of an operation as a watcher saw it: the earliest time at which its end is known outside the agent. */
export interface OperationSeen {
  readonly event: "operation";
  readonly operation: OperationRead;
}

/** Changing calls of libvirt; other calls are not recorded. */
export type EffectCall =
  | "define"
  | "undefine"
  | "start"
  | "destroy"
  | "shutdown"
  | "reboot"
  | "reset"
  | "suspend"
  | "resume"
  | "set_metadata"
  | "attach_device"
  | "detach_device"
  | "update_device"
  | "inject_nmi"
  | "save"
  | "save_remove"
  | "volume_create"
  | "volume_upload"
  | "volume_resize"
  | "volume_wipe"
  | "volume_delete"
  | "secret_define"
  | "secret_undefine"
  /** For `by: "foreign"`: the guest ended by itself, as after a `shutdown`. */
  | "guest_stopped";

/** libvirt begins a changing call. Recorded by the model, or by the proxy in front of the daemon. */
export interface EffectBegin {
  readonly event: "effect";
  /** The effect's number in the history. */
  readonly effect: number;
  readonly call: EffectCall;
  /** `agent`, or `foreign`: virsh or another agent. */
  readonly by: "agent" | "foreign";
  /** The run of the agent: AgentStart.run. */
  readonly agentRun?: number;
  /** The domain's uuid. */
  readonly vm?: string;
  /** Instance and operation in the domain's metadata before the call; for `define`, in its XML. */
  readonly instance?: string;
  readonly operation?: string;
  /** The run of the guest before the call, as a count of the domain's starts. Absent: it does not run. */
  readonly guestRun?: number;
  /** For `define`: the tenant in its XML. */
  readonly tenant?: string;
  /** For `set_metadata`: the written stamp. */
  readonly stamp?: Stamp;
  /** `pool/name`. */
  readonly volume?: string;
  /** For `volume_delete`: a running guest has the volume's file open. */
  readonly isOpen?: boolean;
  /** For `save_remove`: the image is whole, so it holds the guest's memory. */
  readonly isWhole?: boolean;
  /** A device's alias, and where the call changes it: in the definition, in the running guest, or in both. */
  readonly device?: string;
}

/** An operation's record on a domain: `run` marks the guest's run that the operation is bound to. */
export interface Stamp {
  readonly operation: string;
  readonly phase: string;
}

/** `lost`: the reply never reached the agent; `changed` shows whether the call was executed. */
export interface EffectEnd {
  readonly event: "effect_end";
  readonly effect: number;
  readonly outcome: "ok" | "error" | "lost";
  /** The call changed something. */
  readonly changed: boolean;
  readonly error?: string;
}

export type FaultKind =
  | "kill"
  | "disk_full"
  | "disk_well"
  | "inodes_full"
  | "sync_failed"
  | "write_failed"
  | "answer_lost"
  | "clock_step"
  | "state_rolled_back"
  | "state_lost"
  | "journal_lost"
  | "libvirt_down"
  | "secrets_down"
  | "secrets_refused"
  | "libvirt_up";

export interface Fault {
  readonly event: "fault";
  readonly fault: FaultKind;
  readonly detail?: string;
}

/** An agent was started on the state directory. */
export interface AgentStart {
  readonly event: "agent_start";
  /** Counts the starts of a history. */
  readonly run: number;
  readonly version: string;
  readonly agentEpoch?: number;
}

/** Its epoch, from a recorder that does not have it at the start. */
export interface AgentReady {
  readonly event: "agent_ready";
  readonly run: number;
  readonly agentEpoch: number;
}

export interface AgentEnd {
  readonly event: "agent_end";
  readonly run: number;
  /** Stopped in order: everything that it acknowledged is durable. */
  readonly clean: boolean;
}

/** The host's control epoch, read outside of any call. Recorded when it differs from the last one. */
export interface ControlEpochSeen {
  readonly event: "control_epoch";
  readonly epoch: number;
  /** Whether the audit log, read with the epoch, has an entry of the raise to it. Absent: it was not read. */
  readonly isAudited?: boolean;
}

/** libvirt's objects, read outside the agent. `quiet`: the agent is up and connected, and nothing is running. */
export interface WorldSeen {
  readonly event: "world";
  readonly quiet: boolean;
  readonly domains: readonly WorldDomain[];
  /** `pool/name`, sorted. */
  readonly volumes: readonly string[];
}

export interface WorldDomain {
  readonly vm: string;
  readonly name: string;
  readonly state: string;
  readonly instance?: string;
  readonly operation?: string;
  readonly tenant?: string;
  /** `pool/name` of the domain's disks. */
  readonly volumes: readonly string[];
  /** The names of its disks and NICs. Absent: they were not read, or it has no readable spec. */
  readonly devices?: DeviceSight;
}

/** Each is sorted. */
export interface DeviceSight {
  readonly spec: readonly string[];
  readonly definition: readonly string[];
  /** Absent: no guest runs. */
  readonly guest?: readonly string[];
}

/** Collects the events of one history in order. */
export class Recorder {
  readonly #nowMs: () => number;
  readonly #events: HistoryEvent[] = [];

  /** `nowMs`: monotonic milliseconds since the history began, not the clock that faults step. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  add(fact: HistoryFact): void {
    this.#events.push({ atMs: this.#nowMs(), ...fact });
  }

  get history(): History {
    return this.#events;
  }
}

export const toLines = (history: History): string =>
  history.map((event) => `${JSON.stringify(event)}\n`).join("");

export const fromLines = (text: string): History =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as HistoryEvent);
