import type { Vm, VmView } from "../vm/vm.ts";
import type { WatchVmsResponse } from "../gen/socle/v1/WatchVmsResponse.ts";
import { vmToProto } from "./convert-vm.ts";

/**
 * The matching VMs, then every change of them. What is sent is always the VM as it is now: a reader that falls behind
 * misses steps in between, never the end. A VM that begins or ceases to match is added or removed for this reader.
 */
export async function* watchVms(
  view: VmView,
  matches: (vm: Vm) => boolean,
  signal: AbortSignal,
): AsyncGenerator<WatchVmsResponse, void, undefined> {
  const changes = view.subscribe(signal);
  /** What this reader knows: id to etag. */
  const known = new Map<string, string>();
  function* everything(): Generator<WatchVmsResponse, void, undefined> {
    known.clear();
    for (const vm of view.all()) {
      if (!matches(vm)) continue;
      known.set(vm.id, vm.etag);
      yield { kind: "KIND_ADDED", vm: vmToProto(vm) };
    }
    yield { kind: "KIND_SYNCED" };
  }
  yield* everything();
  for await (const change of changes) {
    if (change.kind === "overflow" || change.value.kind === "resync") {
      yield { kind: "KIND_RESYNC" };
      yield* everything();
      continue;
    }
    const vm = view.get(change.value.vm.id);
    const last = change.value.vm;
    const before = known.get(last.id);
    if (vm === undefined || !matches(vm)) {
      if (!known.delete(last.id)) continue;
      yield { kind: "KIND_REMOVED", vm: vmToProto(vm ?? last) };
    } else if (before !== vm.etag) {
      known.set(vm.id, vm.etag);
      yield { kind: before === undefined ? "KIND_ADDED" : "KIND_CHANGED", vm: vmToProto(vm) };
    }
  }
}
