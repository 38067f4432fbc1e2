/**
 * The highest control epoch that was accepted, and how often an administrator reset it. The count orders a reset to a lower
 * epoch after the epochs before it, wherever the two are kept.
 */
export interface ControlFence {
  readonly epoch: number;
  readonly resets: number;
}

/** Whose fence was found. */
export interface FenceOrigin {
  /** Of this state directory, or one of which this is a copy. */
  readonly isOwn: boolean;
  /** It was written before this process first looked for one: what this process decided is later. */
  readonly isBeforeThisRun: boolean;
}

export const isSameFence = (a: ControlFence, b: ControlFence): boolean =>
  a.epoch === b.epoch && a.resets === b.resets;

/**
 * The later of the two. Resets of another state directory (`isOwn` false) are not counted from the same beginning: the
 * higher epoch counts then.
 */
export function laterFence(own: ControlFence, found: ControlFence, isOwn: boolean): ControlFence {
  const epoch = Math.max(own.epoch, found.epoch);
  const resets = Math.max(own.resets, found.resets);
  if (!isOwn || own.resets === found.resets) return { epoch, resets };
  return own.resets > found.resets ? own : found;
}
