import type { Vm, VmView } from "../vm/vm.ts";
import type { WatchVmsResponse } from "../gen/socle/v1/WatchVmsResponse.ts";
import { hasNoSpec } from "../vm/unreadable.ts";
import { vmToProto } from "./convert-vm.ts";

/**
 * The matching VMs, then every change of them. What is sent is always the VM as it is now: a reader that falls behind
 * misses steps in between, never the end. A VM that begins or ceases to match is added or removed for this reader; of one
 * whose spec became unreadable that is not known.
 */
export async function* watchVms(
  view: VmView,
  matches: (vm: Vm) => boolean,
  signal: AbortSignal,
): AsyncGenerator<WatchVmsResponse, void, undefined> {
  const changes = view.subscribe(signal);
  /** What this reader knows: id to etag. */
  const known = new Map<string, string>();
  /** The VM that this reader knows, where its spec is unreadable now. */
  const unreadable = (id: string): Vm | undefined => {
    const vm = view.get(id);
    return view.hidden?.(id, true) ?? (vm !== undefined && hasNoSpec(vm) ? vm : undefined);
  };
  function* show(vm: Vm): Generator<WatchVmsResponse, void, undefined> {
    if (known.get(vm.id) === vm.etag) return;
    known.set(vm.id, vm.etag);
    yield { kind: "KIND_UNREADABLE", vm: named(vm) };
  }
  function* everything(): Generator<WatchVmsResponse, void, undefined> {
    const before = [...known.keys()];
    known.clear();
    for (const vm of view.all()) {
      if (!matches(vm)) continue;
      known.set(vm.id, vm.etag);
      yield { kind: "KIND_ADDED", vm: vmToProto(vm) };
    }
    for (const id of before) {
      const vm = known.has(id) ? undefined : unreadable(id);
      if (vm !== undefined) yield* show(vm);
    }
    yield { kind: "KIND_SYNCED", specUnreadable: view.specUnreadable };
  }
  yield* everything();
  for await (const change of changes) {
    if (change.kind === "overflow" || change.value.kind === "resync") {
      yield { kind: "KIND_RESYNC" };
      yield* everything();
      continue;
    }
    const last = change.value.vm;
    const vm = view.get(last.id);
    const before = known.get(last.id);
    if (vm !== undefined && matches(vm)) {
      if (before === vm.etag) continue;
      known.set(vm.id, vm.etag);
      yield { kind: before === undefined ? "KIND_ADDED" : "KIND_CHANGED", vm: vmToProto(vm) };
    } else if (before !== undefined) {
      const unknown = unreadable(last.id);
      if (unknown !== undefined) yield* show(unknown);
      else {
        known.delete(last.id);
        yield { kind: "KIND_REMOVED", vm: vm === undefined ? named(last) : vmToProto(vm) };
      }
    }
  }
}

/** What a reader knows already of a VM that it may not see any more: it may be another tenant's by now. */
const named = ({ id, name }: Vm): { readonly vmId: string; readonly name: string } => ({ vmId: id, name });
