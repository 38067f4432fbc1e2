import { DomainState, DomainStateReason } from "../../libvirt/index.ts";
import type { VmState } from "../model/vm.ts";

const stateByName: Readonly<Record<keyof typeof DomainState, VmState>> = {
  NOSTATE: "unknown",
  RUNNING: "running",
  // Waiting for a resource: no hypervisor that is in use tells it apart.
  BLOCKED: "running",
  PAUSED: "paused",
  SHUTDOWN: "stopping",
  SHUTOFF: "stopped",
  CRASHED: "crashed",
  PMSUSPENDED: "suspended",
};

/** By libvirt's number of the state: Socle's word for it and its reasons by number. */
const states = Object.entries(DomainState).reduce<{ state: VmState; reasons: string[] }[]>(
  (table, [name, number]) => {
    const key = name as keyof typeof DomainState;
    table[number] = { state: stateByName[key], reasons: namesByNumber(DomainStateReason[key]) };
    return table;
  },
  [],
);

/** libvirt's state and reason numbers in Socle's words; numbers that this version does not know become UNKNOWN. */
export function stateOf(state: number, reason: number): { state: VmState; stateReason: string } {
  const known = states[state];
  const name = known?.reasons[reason] ?? "UNKNOWN";
  return {
    state: known?.state ?? "unknown",
    stateReason: known?.state === "paused" ? pausedReason(name) : name,
  };
}

/**
 * QEMU stopped its guest though nobody had asked is what libvirt calls paused for a reason unknown: the emulator met
 * an internal error (a KVM that cannot go on, for one).
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
