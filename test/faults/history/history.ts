/**
 * A history: everything that callers, libvirt and the fault injector saw of one agent, in one order. It is written by
 * recorders outside the agent and read by the checker; README.md explains each event. JSON lines, one event a line.
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
  /** Numbers the calls of a history; its answer carries the same one. A retry of a request is another call. */
  readonly seq: number;
  readonly caller: string;
  /** `operator` and `scheduler` may change everything; `viewer` reads. */
  readonly role: "operator" | "scheduler" | "viewer";
  /** The caller is scoped to this tenant. Absent: unscoped. */
  readonly tenant?: string;
  /** As in the contract: `CreateVm`, `StopVm`, `GetVm`, `GetOperation`, ... */
  readonly method: string;
  /** Of mutations. */
  readonly requestId?: string;
  /** The VM's id; the recorder resolves names. */
  readonly vm?: string;
  /** Calls about one operation: its id. */
  readonly operation?: string;
  /** Of the request's body without its request id: equal digests are equal requests. */
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
 * - `ok`: the agent carries it out, or has read what was asked.
 * - `refused`: the agent answered with an error that promises that nothing happens.
 * - `unknown`: no answer, or one that promises nothing (`outcome_unknown`, lost connection, caller's deadline).
 */
export type Outcome = "ok" | "refused" | "unknown";

/** The answer, recorded when the caller has it whole. A call without an answer gets one of `unknown` in the end. */
export interface RequestAnswer {
  readonly event: "answer";
  readonly seq: number;
  readonly outcome: Outcome;
  /** Of the SocleError or ErrorInfo: `OPERATION_UNSETTLED`, `ETAG_MISMATCH`, ... */
  readonly reason?: string;
  /** Mutations, and reads of operations. */
  readonly operations?: readonly OperationRead[];
  /** GetVm, ListVms. */
  readonly vms?: readonly VmRead[];
  /** ListVms and ListOperations returned everything; what is missing is absent. */
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
  /** The instance of the VM that the operation is bound to, where the agent shows it. */
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

/** The last byte of the answer left for the caller, or the caller's connection is gone. */
export interface AnswerDelivered {
  readonly event: "delivered";
  readonly seq: number;
}

/** The agent gave the call's admission place to the next one. */
export interface PlaceLeft {
  readonly event: "place_left";
  readonly seq: number;
}

/** An operation as a watcher saw it change: the earliest that its end is known outside the agent. */
export interface OperationSeen {
  readonly event: "operation";
  readonly operation: OperationRead;
}

/** Calls of libvirt that change something; everything else is not recorded. */
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
  | "volume_create"
  | "volume_upload"
  | "volume_resize"
  | "volume_wipe"
  | "volume_delete"
  | "secret_define"
  | "secret_undefine"
  /** Of `by: "foreign"`: the guest ended by itself, as after a `shutdown`. */
  | "guest_stopped";

/** libvirt has a changing call before it, and begins. Seen by the model, or by the proxy in front of the daemon. */
export interface EffectBegin {
  readonly event: "effect";
  /** Numbers the effects of a history. */
  readonly effect: number;
  readonly call: EffectCall;
  /** `agent`, or `foreign`: virsh beside it, another agent. */
  readonly by: "agent" | "foreign";
  /** Which run of the agent: AgentStart.run. */
  readonly agentRun?: number;
  /** The domain's uuid. */
  readonly vm?: string;
  /** Instance and operation in the metadata of the domain that the call hits, before it does; of `define`, in its XML. */
  readonly instance?: string;
  readonly operation?: string;
  /** Counts the starts of this domain: the run of the guest that the call hits. Absent where it does not run. */
  readonly guestRun?: number;
  /** Of `define`: the tenant in its XML. */
  readonly tenant?: string;
  /** Of `set_metadata`: the stamp that it writes. */
  readonly stamp?: Stamp;
  /** `pool/name`. */
  readonly volume?: string;
}

/** An operation's record on a domain: `run` marks the guest's run that the operation is about. */
export interface Stamp {
  readonly operation: string;
  readonly phase: string;
}

/** `lost`: it was carried out (or not: `changed`), and its answer never reached the agent. */
export interface EffectEnd {
  readonly event: "effect_end";
  readonly effect: number;
  readonly outcome: "ok" | "error" | "lost";
  /** Something is different afterwards. */
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

/** Its epoch, from a recorder that cannot have it with the start. */
export interface AgentReady {
  readonly event: "agent_ready";
  readonly run: number;
  readonly agentEpoch: number;
}

export interface AgentEnd {
  readonly event: "agent_end";
  readonly run: number;
  /** Stopped in good order: whatever it had acknowledged is on disk. */
  readonly clean: boolean;
}

/** The host's control epoch as it is now, read outside of any call. Recorded when it differs from the last one. */
export interface ControlEpochSeen {
  readonly event: "control_epoch";
  readonly epoch: number;
  /** Whether the audit log, read when the epoch was, has an entry of the raise to it. Absent: it was not read. */
  readonly isAudited?: boolean;
}

/** What libvirt has, asked beside the agent. `quiet`: the agent is up, connected, and nothing is under way. */
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
  /** `pool/name` of its disks. */
  readonly volumes: readonly string[];
}

/** Collects the events of one history in the order in which they are added. */
export class Recorder {
  readonly #nowMs: () => number;
  readonly #events: HistoryEvent[] = [];

  /** `nowMs`: milliseconds since the history began, never going back: not the clock that faults step. */
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
