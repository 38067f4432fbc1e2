import type { Metadata } from "@grpc/grpc-js";
import type { Actor } from "../../audit/index.ts";
import { invalidField } from "../../kernel/errors.ts";
import {
  controlEpochRefusal,
  requireControlEpoch,
  requireCurrentEpoch,
  type ControlEpochs as Epochs,
} from "../../state/records/control-epochs.ts";
import type { Caller } from "./identity.ts";

/** The metadata in which a scheduler states its control epoch; a whole number in decimal. */
export const controlEpochKey = "socle-control-epoch";

export type ControlEpochs = Pick<Epochs<Actor>, "controlEpoch" | "raise" | "reset">;

/** A call's properties that the epoch check needs. */
export interface FencedCall {
  readonly caller: Caller;
  readonly metadata: Metadata;
  readonly changes: boolean;
}

/**
 * Compares the call's control epoch with the highest one, and never raises it. Throws `conflict` CONTROL_EPOCH_STALE;
 * CONTROL_EPOCH_MISSING for a scheduler's mutation without an epoch where epochs are in use; CONTROL_EPOCH_TOO_FAR for a
 * mutation that may not raise it so far; `invalid` CONTROL_EPOCH_INVALID for a malformed one.
 */
export function checkControlEpoch({ controlEpoch: highest }: ControlEpochs, call: FencedCall): void {
  const epoch = epochOf(call.metadata);
  if (epoch === undefined) {
    if (!call.changes || call.caller.role !== "scheduler" || highest === 0) return;
    const message = `send the scheduler's control epoch in the metadata ${controlEpochKey}: this host has seen ${highest}`;
    throw controlEpochRefusal("CONTROL_EPOCH_MISSING", message, highest);
  }
  if (mayRaise(call)) requireControlEpoch(epoch, highest);
  else requireCurrentEpoch(epoch, highest);
}

/**
 * For a mutation that is authorized and audited, right before its effect: compares again, since another scheduler may have
 * taken over meanwhile. The epoch of an unscoped scheduler is durable when it resolves. Throws as `checkControlEpoch`, and
 * as the audit log and the host record do.
 */
export async function enforceControlEpoch(
  epochs: ControlEpochs,
  call: FencedCall,
  actor: Actor,
): Promise<void> {
  checkControlEpoch(epochs, call);
  const epoch = epochOf(call.metadata);
  if (epoch !== undefined && mayRaise(call)) await epochs.raise(epoch, actor);
}

/** Reads and callers restricted to a tenant do not raise the epoch. */
const mayRaise = ({ caller, changes }: FencedCall): boolean =>
  changes && caller.role === "scheduler" && caller.tenant === undefined;

function epochOf(metadata: Metadata): number | undefined {
  const [text] = metadata.get(controlEpochKey);
  if (text === undefined) return undefined;
  const epoch = Number(text);
  if (/^\d{1,16}$/.test(text.toString()) && Number.isSafeInteger(epoch)) return epoch;
  const why = `must be a whole number from 0 to ${Number.MAX_SAFE_INTEGER}`;
  throw invalidField("CONTROL_EPOCH_INVALID", controlEpochKey, why);
}
