import { createHash } from "node:crypto";
import { isDone, type Operation } from "../../../agent/state/operations/operation.ts";
import type { OwnStart } from "../../../agent/vm/operations/own-starts.ts";
import type { NewEvent } from "../../../agent/state/events/event.ts";
import type { Vm, VmState } from "../../../agent/vm/model/vm.ts";
import { checkSpec } from "../../../agent/vm/model/spec-check.ts";
import { withEtag } from "../../../agent/vm/observation/vm-from-domain.ts";
import { VmTable } from "../../../agent/vm/observation/vm-table.ts";
import { FakeClock } from "../host/fake-clock.ts";

const idOf = (name: string): string =>
  `6f1c2f1e-0000-4000-8000-${createHash("sha256").update(name).digest("hex").slice(0, 12)}`;

/** A table, a journal and the agent's own starts for services that begin starts themselves. */
export class OwnStartsStage {
  readonly table = new VmTable();
  readonly clock = new FakeClock();
  readonly events: NewEvent[] = [];
  /** The starts that were begun, by the name of their VM. */
  readonly started: string[] = [];
  /** How the next starts end, by name; default: the VM runs. */
  readonly ends = new Map<string, () => Partial<Operation>>();
  readonly #operations: Operation[] = [];

  /** Puts a VM into the table. */
  put(name: string, state: VmState, spec: Record<string, unknown> = {}, stateReason = "BOOTED"): Vm {
    const id = idOf(name);
    const before = this.table.get(id);
    const kernel = { kernel: { pool: "p", volume: "vmlinuz" } };
    const asked = { name, id, vcpus: 1, memoryBytes: 2 ** 26, kernelBoot: kernel, ...spec };
    const vm = withEtag({
      id,
      name,
      presence: "present",
      observedAtMs: 1,
      state,
      stateReason,
      managed: true,
      tenant: typeof spec["tenant"] === "string" ? spec["tenant"] : (before?.tenant ?? ""),
      labels: {},
      placementEpoch: 0,
      instance: `instance-of-${name}`,
      cells: [],
      disks: [],
      nics: [],
      vcpus: 1,
      memoryBytes: 2 ** 26,
      spec:
        Object.keys(spec).length === 0 && before?.spec !== undefined
          ? before.spec
          : checkSpec(asked, { bridges: [], allowSpoofing: false }),
    });
    this.table.put(vm);
    return vm;
  }

  /** Adds an operation on a VM to the journal, the newest one. */
  add(name: string, kind: string, changes: Partial<Operation> = {}): Operation {
    const number = String(this.#operations.length + 1).padStart(6, "0");
    const operation: Operation = {
      id: `operation-${number}`,
      requestId: `request-${number}`,
      kind,
      vmId: idOf(name),
      caller: "user",
      state: "succeeded",
      steps: [],
      progress: 1,
      createdAtMs: this.clock.now(),
      result: {},
      intent: undefined,
      ...changes,
    };
    this.#operations.push(operation);
    return operation;
  }

  /** Replaces an operation of the journal. */
  end(operation: Operation, state: Operation["state"]): void {
    this.#operations[this.#operations.findIndex(({ id }) => id === operation.id)] = { ...operation, state };
  }

  readonly operations = {
    list: ({ limit }: { limit: number }) => this.#operations.toReversed().slice(0, limit),
    admittedFor: (vmId: string) => this.#operations.filter((each) => each.vmId === vmId).toReversed(),
    untilPermitted: () => Promise.resolve(),
  };

  readonly starts = {
    start: (start: OwnStart): Promise<Operation | undefined> => {
      const { vm, requestId, isWanted } = start;
      const held = this.#operations.find((each) => each.requestId === requestId);
      if (held !== undefined) return Promise.resolve(held);
      if (!isWanted()) return Promise.resolve(undefined);
      this.started.push(vm.name);
      const changes = this.ends.get(vm.name)?.() ?? {};
      const end = this.add(vm.name, "START_VM", { caller: "agent", requestId, ...changes });
      if (end.state === "succeeded") this.put(vm.name, "running");
      return Promise.resolve(isDone(end) ? end : undefined);
    },
  };

  readonly publish = (event: NewEvent): void => void this.events.push(event);

  /** Lets everything run that waits for nothing but the event loop. */
  async turns(): Promise<void> {
    for (let turn = 0; turn < 30; turn += 1) await new Promise(setImmediate);
  }

  async advance(ms: number): Promise<void> {
    await this.turns();
    this.clock.advance(ms);
    await this.turns();
  }
}

/** The end of an operation that failed. */
export const failed = (kind: string, reason: string): Partial<Operation> => ({
  state: "failed",
  error: { kind, reason, message: "", metadata: {} },
});
