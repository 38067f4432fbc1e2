import type { Vm } from "../../../../agent/vm/model/vm.ts";
import type { Recorder, RequestBegin } from "../history.ts";
import { changeOf, DRIVE } from "./changes.ts";
import { isComplete, operationsIn, vmsIn } from "./reads.ts";
import { bootVolume, callers, vmId, type Action, type CallAction, type Schedule } from "./schedule.ts";
import type { Answered, CallBy } from "./simulated-agent.ts";

const MIB = 1024 ** 2;

type About = Partial<
  Pick<RequestBegin, "vm" | "requestId" | "operation" | "etag" | "force" | "keepDisks" | "specTenant">
> & {
  readonly controlEpoch?: number | undefined;
  /** The id of the schedule's call. */
  readonly id?: number;
};

/** The agent's interface for callers. */
export interface CalledAgent {
  readonly isServing: boolean;
  readonly state: { readonly record: { readonly agentEpoch: number; readonly controlEpoch: number } };
  call(method: string, request: object, by: CallBy, answered: (answer: Answered) => void): void;
}

/** The callers of the agent, and their answers. */
export class SimulatedCallers {
  readonly #schedule: Schedule;
  readonly #recorder: Recorder;
  readonly #agent: () => CalledAgent | undefined;
  readonly #deliver: (arrived: () => void) => void;
  readonly #auditLog: () => string;
  #seq = 0;
  /** Calls without an answer yet. */
  readonly #open = new Set<number>();
  /** Operations by the schedule's call that created them. */
  readonly operations = new Map<number, string>();
  /** The last read etag, by caller and VM. */
  readonly #etags = new Map<string, string>();
  /** Requests as first sent. */
  readonly #bodies = new Map<number, object>();
  #controlEpoch = 0;

  /**
   * `deliver` calls its argument when an answer has arrived. `auditLog` reads the files of the agent's audit log on its
   * disk.
   */
  constructor(
    schedule: Schedule,
    recorder: Recorder,
    agent: () => CalledAgent | undefined,
    deliver: (arrived: () => void) => void,
    auditLog: () => string,
  ) {
    this.#deliver = deliver;
    this.#auditLog = auditLog;
    this.#schedule = schedule;
    this.#recorder = recorder;
    this.#agent = agent;
  }

  /** The schedule's call with this id; undefined: it was removed. */
  first(id: number): CallAction | undefined {
    return this.#schedule.actions.find(
      (action): action is Action & CallAction => action.do === "call" && action.id === id,
    );
  }

  call(action: CallAction): void {
    const { id, caller, method, vm, controlEpoch, force, keepDisks, tenant } = action;
    const body = this.#bodies.get(id) ?? this.#bodyOf(action);
    this.#bodies.set(id, body);
    const isMutation = method !== "GetVm" && method !== "ListVms";
    const request = isMutation ? { requestId: `request-${id}`, ...body } : body;
    const { etag } = body as { etag?: string };
    this.send(method, request, caller, {
      ...(method === "ListVms" ? {} : { vm: vmId(vm) }),
      ...(isMutation ? { requestId: `request-${id}` } : {}),
      ...(etag === undefined ? {} : { etag }),
      ...(force === undefined ? {} : { force }),
      ...(keepDisks === true ? { keepDisks } : {}),
      ...(tenant === undefined ? {} : { specTenant: tenant }),
      controlEpoch,
      id,
    });
  }

  /** Reads an operation, or waits for its end. */
  about(id: number, method: "GetOperation" | "CancelOperation"): void {
    const operation = this.operations.get(id);
    const first = this.first(id);
    if (operation === undefined || first === undefined) return;
    const { caller, controlEpoch } = first;
    this.send(method, { operationId: operation }, caller, { operation, controlEpoch });
  }

  send(
    method: string,
    request: object,
    callerIndex: number,
    { id, controlEpoch, ...about }: About,
    done: () => void = () => undefined,
  ): void {
    const caller = callers[callerIndex];
    if (caller === undefined) throw new Error(`there is no caller ${callerIndex}`);
    const seq = (this.#seq += 1);
    const { name, role, tenant } = caller;
    this.#recorder.add({
      event: "request",
      seq,
      caller: name,
      role,
      ...(tenant === undefined ? {} : { tenant }),
      method,
      digest: JSON.stringify({ ...request, requestId: undefined }),
      ...about,
      ...(controlEpoch === undefined ? {} : { controlEpoch }),
    });
    const agent = this.#agent();
    if (agent?.isServing !== true) {
      this.#recorder.add({ event: "answer", seq, outcome: "refused", reason: "NOT_CONNECTED" });
      done();
      return;
    }
    this.#open.add(seq);
    const as = { name, role, ...(tenant === undefined ? {} : { tenant }) };
    const by = {
      caller: as,
      controlEpoch,
      deliver: (arrived: () => void): void => {
        if (!this.#open.has(seq)) return;
        this.#deliver(() => {
          if (!this.#open.has(seq)) return;
          this.#recorder.add({ event: "delivered", seq });
          arrived();
        });
      },
      onPlaceLeft: (): void => {
        if (this.#agent() === agent) this.#recorder.add({ event: "place_left", seq });
      },
    };
    agent.call(method, request, by, (answer) => {
      this.#open.delete(seq);
      this.#answered(agent, { seq, method, callerIndex, id }, answer);
      done();
    });
  }

  /** Records that a watcher received a VM. */
  shown({ id, tenant, etag, presence, state, observedAtMs }: Vm): void {
    const seq = (this.#seq += 1);
    const by = { caller: "watcher", role: "viewer", method: "WatchVms", digest: "" } as const;
    this.#recorder.add({ event: "request", seq, ...by, vm: id });
    const read = { id, tenant, etag, presence, state, observedAtMs };
    this.#recorder.add({ event: "answer", seq, outcome: "ok", vms: [read] });
  }

  /** Calls without an answer. */
  get waiting(): number {
    return this.#open.size;
  }

  /** The agent has ended; no call gets an answer. */
  lose(reason: string): void {
    for (const seq of this.#open) this.#recorder.add({ event: "answer", seq, outcome: "unknown", reason });
    this.#open.clear();
  }

  /** Records a changed control epoch. */
  lookAtEpoch({ state }: CalledAgent): void {
    const { controlEpoch } = state.record;
    if (controlEpoch === this.#controlEpoch) return;
    this.#controlEpoch = controlEpoch;
    const isAudited = hasRaise(this.#auditLog(), controlEpoch);
    this.#recorder.add({ event: "control_epoch", epoch: controlEpoch, isAudited });
  }

  #answered(
    agent: CalledAgent,
    {
      seq,
      method,
      callerIndex,
      id,
    }: { seq: number; method: string; callerIndex: number; id: number | undefined },
    { response, kind = "internal", reason }: Answered,
  ): void {
    if (response === undefined) {
      const outcome = promisesNothing.has(kind) ? "unknown" : "refused";
      this.#recorder.add({ event: "answer", seq, outcome, ...(reason === undefined ? {} : { reason }) });
    } else {
      const operations = operationsIn(method, response);
      const vms = vmsIn(method, response);
      const complete = isComplete(method, response);
      if (id !== undefined && operations[0] !== undefined) this.operations.set(id, operations[0].id);
      for (const vm of vms) this.#etags.set(`${callerIndex} ${vm.id}`, vm.etag);
      this.#recorder.add({
        event: "answer",
        seq,
        outcome: "ok",
        ...(operations.length === 0 ? {} : { operations }),
        ...(vms.length === 0 && method !== "ListVms" ? {} : { vms }),
        ...(complete === undefined ? {} : { complete }),
        agentEpoch: agent.state.record.agentEpoch,
      });
    }
    this.lookAtEpoch(agent);
  }

  #bodyOf({ method, vm, caller, byName = false, ...action }: CallAction): object {
    const subject = byName ? `vm-${vm}` : vmId(vm);
    const {
      force = false,
      keepDisks = false,
      eraseDisks = false,
      graceSeconds = 5,
      hasDisk = false,
      hasDrive = false,
      leaveStopped = false,
    } = action;
    switch (method) {
      case "CreateVm": {
        const boot = { name: "boot", volume: bootVolume, readOnly: true };
        const disk = { name: "root", newVolume: { pool: "images", capacityBytes: MIB } };
        const spec = {
          name: `vm-${vm}`,
          vmId: vmId(vm),
          vcpus: 1,
          memoryBytes: 64 * MIB,
          accelerator: "ACCELERATOR_TCG",
          tenant: action.tenant ?? "",
          disks: [boot, ...(hasDisk ? [disk] : []), ...(hasDrive ? [{ name: DRIVE, cdrom: {} }] : [])],
        };
        return { spec, leaveStopped };
      }
      case "StopVm":
        return { vm: subject, force, gracefulTimeout: { seconds: graceSeconds } };
      case "RebootVm":
        return { vm: subject, force };
      case "DeleteVm": {
        const etag = action.withEtag === true ? this.#etags.get(`${caller} ${vmId(vm)}`) : undefined;
        return { vm: subject, force, keepDisks, eraseDisks, ...(etag === undefined ? {} : { etag }) };
      }
      case "ListVms":
        return { pageSize: 1000 };
      default:
        return { vm: subject, ...changeOf({ method, ...action }) };
    }
  }
}

/** Each line of the audit log is a hash and the entry's JSON. */
const hasRaise = (auditLog: string, epoch: number): boolean =>
  auditLog
    .split("\n")
    .some((line) => line.includes('"act":"control_epoch_raised"') && line.includes(`"to":${epoch}}`));

/** Kinds of errors after which a request may still have an effect. */
const promisesNothing: ReadonlySet<string> = new Set(["outcome_unknown", "timeout", "internal", "cancelled"]);
