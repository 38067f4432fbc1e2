import { DomainState, DomainStateReason } from "../../libvirt/index.ts";
import type { VmState } from "../model/vm.ts";

const stateByName: Readonly<Record<keyof typeof DomainState, VmState>> = {
  NOSTATE: "unknown",
  RUNNING: "running",
  // Waiting for a resource: no hypervisor in use reports this state.
  BLOCKED: "running",
  PAUSED: "paused",
  SHUTDOWN: "stopping",
  SHUTOFF: "stopped",
  CRASHED: "crashed",
  PMSUSPENDED: "suspended",
};

/** By libvirt's state number: Socle's state, and its reasons by number. */
const states = Object.entries(DomainState).reduce<{ state: VmState; reasons: string[] }[]>(
  (table, [name, number]) => {
    const key = name as keyof typeof DomainState;
    table[number] = { state: stateByName[key], reasons: namesByNumber(DomainStateReason[key]) };
    return table;
  },
  [],
);

/** Translates libvirt's state and reason numbers to Socle's names; numbers unknown to this version become UNKNOWN. */
export function stateOf(state: number, reason: number): { state: VmState; stateReason: string } {
  const known = states[state];
  const name = known?.reasons[reason] ?? "UNKNOWN";
  return {
    state: known?.state ?? "unknown",
    stateReason: known?.state === "paused" ? pausedReason(name) : name,
  };
}

/**
 * libvirt reports "paused" with an unknown reason if QEMU stopped its guest without a request: the emulator met an
 * internal error (a failing KVM, for example).
 */
function pausedReason(name: string): string {
  return name === "UNKNOWN" ? "INTERNAL_ERROR" : name;
}

function namesByNumber(numbers: Readonly<Record<string, number>>): string[] {
  return Object.entries(numbers).reduce<string[]>((names, [name, number]) => {
    names[number] = name;
    return names;
  }, []);
}

/** Whether a guest runs, is paused, or is on its way to either. */
export const isActive = (seen: { readonly state: VmState } | undefined): boolean =>
  seen !== undefined && seen.state !== "stopped" && seen.state !== "crashed";
