import { isSameVm, type Vm, type VmView } from "../../vm/model/vm.ts";
import type { WatchVmsResponse } from "../../gen/socle/v1/WatchVmsResponse.ts";
import { hasNoSpec } from "../../vm/model/unreadable.ts";
import { vmToProto } from "../convert/vm.ts";

/** The last state of a VM that was sent to a reader. */
type Sent = Pick<Vm, "id" | "name" | "instance" | "etag" | "leases">;

interface Matching {
  readonly matches: (vm: Vm) => boolean;
  /** For a VM whose spec is unreadable: its other facts do not exclude it. */
  readonly mayMatch: (vm: Vm) => boolean;
}

/**
 * The matching VMs, then every change. Each message has the VM's current state: a slow reader misses intermediate steps,
 * never the last. A VM that begins or ceases to match is added or removed for this reader. One whose spec became unreadable
 * is reported as such: whether it matches is unknown.
 */
export async function* watchVms(
  view: VmView,
  { matches, mayMatch }: Matching,
  signal: AbortSignal,
): AsyncGenerator<WatchVmsResponse, void, undefined> {
  const changes = view.subscribe(signal);
  const sent = new Map<string, Sent>();
  /** A VM that this reader knows and whose spec is unreadable now. */
  const unreadable = ({ id, instance }: Sent): Vm | undefined => {
    const vm = view.get(id);
    const found = view.hidden?.(id, true) ?? (vm !== undefined && hasNoSpec(vm) ? vm : undefined);
    if (found === undefined || !mayMatch(found)) return undefined;
    return found.instance === undefined || found.instance === instance ? found : undefined;
  };
  function* show(before: Sent, { etag }: Vm): Generator<WatchVmsResponse, void, undefined> {
    if (sent.get(before.id)?.etag === etag) return;
    sent.set(before.id, { ...before, etag });
    yield { kind: "KIND_UNREADABLE", vm: named(before) };
  }
  function* everything(): Generator<WatchVmsResponse, void, undefined> {
    const earlier = [...sent.values()];
    sent.clear();
    for (const vm of view.all()) {
      if (!matches(vm)) continue;
      sent.set(vm.id, vm);
      yield { kind: "KIND_ADDED", vm: vmToProto(vm) };
    }
    for (const before of earlier) {
      const vm = sent.has(before.id) ? undefined : unreadable(before);
      if (vm !== undefined) yield* show(before, vm);
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
    const before = sent.get(last.id);
    if (vm !== undefined && matches(vm)) {
      if (before !== undefined && isSameVm(before, vm)) continue;
      sent.set(vm.id, vm);
      yield { kind: before === undefined ? "KIND_ADDED" : "KIND_CHANGED", vm: vmToProto(vm) };
    } else if (before !== undefined) {
      const unknown = unreadable(before);
      if (unknown !== undefined) yield* show(before, unknown);
      else {
        sent.delete(last.id);
        // Its tenant may have changed.
        const isRestricted = view.hidden !== undefined && vm === undefined;
        yield { kind: "KIND_REMOVED", vm: isRestricted ? named(before) : vmToProto(vm ?? last) };
      }
    }
  }
}

const named = ({ id, name }: Sent): { readonly vmId: string; readonly name: string } => ({ vmId: id, name });
