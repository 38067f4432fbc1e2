import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import type { Kind } from "./host.ts";

/** What the witness found after an operation. */
interface Found {
  /** In virsh's words; undefined where there is no such domain. */
  readonly state: string | undefined;
  readonly stateBefore: string | undefined;
  /** Of its QEMU, since the operation was asked for. */
  readonly starts: number;
  /** That were made for it. */
  readonly volumes: number;
}

/** Whether the end of an operation is the truth. */
export function isRight(kind: Kind, { state: end }: Operation__Output, found: Found): boolean {
  const { state, stateBefore, starts, volumes } = found;
  const isDone = end === "STATE_SUCCEEDED";
  switch (kind) {
    case "CREATE":
      return isDone
        ? state === "running" && volumes === 1 && starts === 1
        : state === undefined && volumes === 0 && starts <= 1;
    case "START":
      // libvirt notes a start before it makes one: a libvirtd that dies then takes the half-made QEMU along.
      return isDone ? state === "running" && starts === 1 : state === "shut off" && starts <= 1;
    case "STOP":
      return isDone ? state === "shut off" : state === stateBefore;
    case "PAUSE":
      return isDone ? state === "paused" : state === stateBefore;
    case "RESUME":
      return isDone ? state === "running" : state === stateBefore;
    case "DELETE":
      // One that failed is there to be deleted again.
      return isDone ? state === undefined && volumes === 0 : state !== undefined;
  }
}

/** virsh's word for a state as the contract has it. */
export const stateWord = (virsh: string): string =>
  virsh === "shut off" ? "VM_STATE_STOPPED" : `VM_STATE_${virsh.toUpperCase()}`;
