import type { Metadata } from "@grpc/grpc-js";
import { SocleError } from "../kernel/errors.ts";
import type { Caller } from "./identity.ts";

/** The metadata in which a scheduler says its control epoch; a whole number in decimal. */
export const controlEpochKey = "socle-control-epoch";

/** The highest control epoch that any scheduler had. */
export interface ControlEpochs {
  readonly controlEpoch: number;
  /** Counts at once; resolves when it is durable. */
  raiseControlEpoch(epoch: number): Promise<void>;
}

/**
 * Keeps a scheduler out that another has taken over from. A higher epoch than any before is durable before the call it
 * came with goes on: what is given back is to be waited for. Throws `conflict` CONTROL_EPOCH_STALE; for a scheduler that
 * changes something without saying its epoch, where epochs are in use, CONTROL_EPOCH_MISSING; `invalid` for none at all.
 */
export function fence(
  epochs: ControlEpochs,
  { caller, metadata, changes }: { caller: Caller; metadata: Metadata; changes: boolean },
): Promise<void> | undefined {
  const highest = epochs.controlEpoch;
  const [text] = metadata.get(controlEpochKey);
  if (text === undefined) {
    if (!changes || caller.role !== "scheduler" || highest === 0) return undefined;
    const message = `say the scheduler's control epoch in the metadata ${controlEpochKey}: this host has seen ${highest}`;
    throw refusal("CONTROL_EPOCH_MISSING", message, highest);
  }
  const epoch = Number(text);
  if (!/^\d{1,16}$/.test(text.toString()) || !Number.isSafeInteger(epoch)) {
    const fields = { [controlEpochKey]: "must be a whole number" };
    throw new SocleError("invalid", "CONTROL_EPOCH_INVALID", `${controlEpochKey} must be a whole number`, {
      details: { fields },
    });
  }
  if (epoch < highest) {
    const message = `the control epoch ${epoch} is older than ${highest}, which another scheduler had`;
    throw refusal("CONTROL_EPOCH_STALE", message, highest);
  }
  return epoch > highest && caller.role === "scheduler" ? epochs.raiseControlEpoch(epoch) : undefined;
}

const refusal = (reason: string, message: string, highest: number): SocleError =>
  new SocleError("conflict", reason, message, { details: { metadata: { control_epoch: String(highest) } } });
