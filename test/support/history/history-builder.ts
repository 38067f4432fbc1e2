import {
  Recorder,
  type EffectBegin,
  type EffectCall,
  type History,
  type OperationRead,
  type RequestBegin,
  type VmRead,
} from "../../faults/history/history.ts";

export const VM = "6f1c2f1e-0000-4000-8000-000000000001";

/** Builds a history line by line; each line is one millisecond after the previous one. */
export class HistoryBuilder {
  #ms = 0;
  #seq = 0;
  #effect = 0;
  #runs = 0;
  readonly recorder = new Recorder(() => (this.#ms += 1));

  get history(): History {
    return this.recorder.history;
  }

  request(method: string, more: Partial<RequestBegin> = {}): number {
    this.#seq += 1;
    this.recorder.add({
      event: "request",
      seq: this.#seq,
      caller: "scheduler",
      role: "scheduler",
      method,
      vm: VM,
      digest: method,
      ...more,
    });
    return this.#seq;
  }

  ok(
    seq: number,
    operations: readonly OperationRead[] = [],
    more: { vms?: readonly VmRead[]; complete?: boolean } = {},
  ): this {
    this.recorder.add({ event: "answer", seq, outcome: "ok", operations, ...more });
    return this;
  }

  /** A mutation accepted as operation `id`. */
  accepted(id: string, method: string, more: Partial<RequestBegin> = {}): this {
    const seq = this.request(method, { requestId: `r-${id}`, ...more });
    return this.ok(seq, [this.read(id, method, "running", more.requestId ?? `r-${id}`, more.caller)]);
  }

  refused(method: string, reason: string, more: Partial<RequestBegin> = {}): this {
    const seq = this.request(method, more);
    this.recorder.add({ event: "answer", seq, outcome: "refused", reason });
    return this;
  }

  read(
    id: string,
    kind: string,
    state: OperationRead["state"],
    requestId = `r-${id}`,
    caller = "scheduler",
  ): OperationRead {
    return { id, kind, vm: VM, requestId, caller, state };
  }

  ended(id: string, method: string, state: OperationRead["state"] = "succeeded"): this {
    this.recorder.add({ event: "operation", operation: this.read(id, method, state) });
    return this;
  }

  effect(call: EffectCall, more: Partial<EffectBegin> = {}): this {
    this.recorder.add({ event: "effect_end", effect: this.#begin(call, more), outcome: "ok", changed: true });
    return this;
  }

  /** A call that libvirt refuses. */
  refusedEffect(call: EffectCall, more: Partial<EffectBegin> = {}): this {
    this.recorder.add({
      event: "effect_end",
      effect: this.#begin(call, more),
      outcome: "error",
      changed: false,
    });
    return this;
  }

  #begin(call: EffectCall, more: Partial<EffectBegin>): number {
    this.#effect += 1;
    this.recorder.add({ event: "effect", effect: this.#effect, call, by: "agent", vm: VM, ...more });
    return this.#effect;
  }

  foreign(call: EffectCall): this {
    return this.effect(call, { by: "foreign" });
  }

  reads(
    state: string,
    observedAtMs: number,
    more: Partial<VmRead> = {},
    caller: Partial<RequestBegin> = {},
  ): this {
    const seq = this.request("GetVm", caller);
    return this.ok(seq, [], {
      vms: [{ id: VM, etag: `${state} ${observedAtMs}`, presence: "present", state, observedAtMs, ...more }],
    });
  }

  restart(): this {
    this.recorder.add({ event: "fault", fault: "kill" });
    this.#runs += 1;
    this.recorder.add({ event: "agent_start", run: this.#runs, version: "1", agentEpoch: this.#runs });
    return this;
  }

  created(): this {
    return this.accepted("c", "CreateVm").effect("define").effect("start").ended("c", "CreateVm");
  }
}
