import type { Vm } from "../../vm/model/vm.ts";
import type { VmFilter__Output } from "../../gen/socle/v1/VmFilter.ts";
import { enumWords } from "../../contract/enum.ts";
import { vmStates } from "../convert/vm.ts";

const managedFilters = enumWords("MANAGED_FILTER", ["managed", "unmanaged"]);

const everyVm = (): boolean => true;

/** Whether a VM matches every filter that is set. Throws `invalid` for an unknown state. */
export function vmFilter(filter: VmFilter__Output | null): (vm: Vm) => boolean {
  if (filter === null) return everyVm;
  const { tenant, namePrefix } = filter;
  const states = new Set(filter.states.map((name) => vmStates.fromProto("filter.states", name)));
  const labels = Object.entries(filter.labels);
  const managed = managedFilters.fromProto("filter.managed", filter.managed);
  return (vm) =>
    (tenant === "" || vm.tenant === tenant) &&
    vm.name.startsWith(namePrefix) &&
    (states.size === 0 || states.has(vm.state)) &&
    (managed === undefined || vm.managed === (managed === "managed")) &&
    labels.every(([key, value]) => Object.hasOwn(vm.labels, key) && vm.labels[key] === value);
}

/** The filters that apply without a spec: a VM with an unreadable spec has no other facts. */
export const withoutSpec = (filter: VmFilter__Output | null): VmFilter__Output | null =>
  filter === null ? null : { ...filter, tenant: "", labels: {} };
