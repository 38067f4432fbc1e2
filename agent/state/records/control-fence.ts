/**
 * The highest accepted control epoch, and the number of administrators' resets. The count orders a reset to a lower
 * epoch after earlier epochs, in every copy of the fence.
 */
export interface ControlFence {
  readonly epoch: number;
  readonly resets: number;
}

/** The origin of a fence that was found. */
export interface FenceOrigin {
  /** Of this state directory, or of one that this is a copy of. */
  readonly isOwn: boolean;
  /** Written before this process first looked for a fence: this process's decisions are later. */
  readonly isBeforeThisRun: boolean;
}

export const isSameFence = (a: ControlFence, b: ControlFence): boolean =>
  a.epoch === b.epoch && a.resets === b.resets;

/**
 * The later of two fences. Another state directory (`isOwn` false) counts its resets separately: the higher epoch
 * decides then.
 */
export function laterFence(own: ControlFence, found: ControlFence, isOwn: boolean): ControlFence {
  const epoch = Math.max(own.epoch, found.epoch);
  const resets = Math.max(own.resets, found.resets);
  if (!isOwn || own.resets === found.resets) return { epoch, resets };
  return own.resets > found.resets ? own : found;
}
