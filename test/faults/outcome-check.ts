import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import type { Kind } from "./host.ts";

/** Of a VM in host.ts: its disk and its seed. */
const MADE_VOLUMES = 2;

/** The witness's findings after an operation. */
interface Found {
  /** virsh's state; undefined: there is no such domain. */
  readonly state: string | undefined;
  readonly stateBefore: string | undefined;
  /** Starts of its QEMU since the operation's request. */
  readonly starts: number;
  /** Volumes that were created for it. */
  readonly volumes: number;
  /** libvirt has its memory on the disk. */
  readonly isSaved?: boolean;
  /** A rescue system runs. */
  readonly isRescued?: boolean;
}

/** Whether the outcome of an operation is true. */
export function isRight(kind: Kind, { state: end }: Operation__Output, found: Found): boolean {
  const { state, stateBefore, starts, volumes, isSaved = false, isRescued = false } = found;
  const isDone = end === "STATE_SUCCEEDED";
  switch (kind) {
    case "CREATE":
      return isDone
        ? state === "running" && volumes === MADE_VOLUMES && starts === 1
        : state === undefined && volumes === 0 && starts <= 1;
    case "START":
      // libvirt logs a start before the process exists: a libvirtd that dies then ends the unfinished QEMU too.
      return isDone ? state === "running" && !isSaved && starts === 1 : state === "shut off" && starts <= 1;
    case "STOP":
      return isDone ? state === "shut off" : state === stateBefore;
    case "PAUSE":
      return isDone ? state === "paused" : state === stateBefore;
    case "RESUME":
      return isDone ? state === "running" : state === stateBefore;
    case "SUSPEND":
      return isDone ? state === "shut off" && isSaved && starts === 0 : state === stateBefore && !isSaved;
    case "DISCARD":
      return isDone ? state === "shut off" && !isSaved && starts === 0 : state === stateBefore && isSaved;
    case "RESCUE":
      return isDone
        ? state === "running" && isRescued && volumes === MADE_VOLUMES + 1 && starts === 1
        : state === stateBefore && !isRescued && volumes === MADE_VOLUMES;
    case "UNRESCUE":
      return isDone
        ? state === "running" && !isRescued && volumes === MADE_VOLUMES && starts === 1
        : state === stateBefore && isRescued;
    case "DELETE":
      // After a failed deletion the VM remains and can be deleted again.
      return isDone ? state === undefined && volumes === 0 : state !== undefined;
  }
}

/** virsh's name of a state of the contract. */
export const stateWord = (virsh: string): string =>
  virsh === "shut off" ? "VM_STATE_STOPPED" : `VM_STATE_${virsh.toUpperCase()}`;
