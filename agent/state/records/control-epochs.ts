import { SocleError } from "../../kernel/errors.ts";
import type { HostRecord } from "./host-record.ts";

/**
 * How far one step may raise the control epoch. Epochs count takeovers, as terms do in Raft: a cluster that elects a
 * leader each minute needs two years to reach this step. A larger step is a fault or an attack, and could use up all
 * epochs.
 */
export const maxControlEpochStep = 1_000_000;

/** The caller that raises or resets the epoch, for the audit log. */
export interface ControlEpochChange<By> {
  readonly from: number;
  readonly to: number;
  /** Undefined for a reset, whose call is audited. */
  readonly by: By;
}

type Kept = Pick<HostRecord, "controlEpoch" | "controlFence" | "raiseControlEpoch" | "resetControlEpoch">;

/** The highest control epoch that this host accepted: it fences replaced schedulers. */
export class ControlEpochs<By> {
  readonly #record: Kept;
  readonly #audit: (change: ControlEpochChange<By>) => Promise<unknown>;
  readonly #publish: () => Promise<void>;
  /** The publication that includes the newest epoch. */
  #published: Promise<void> = Promise.resolve();

  /**
   * `audit` makes a raise durable in the audit log; a raise waits for it, and fails with it. `publish` keeps the
   * durable epoch outside the state directory too, which may be rolled back; a change waits for it, and it never
   * rejects.
   */
  constructor(
    record: Kept,
    audit: (change: ControlEpochChange<By>) => Promise<unknown>,
    publish: () => Promise<void> = () => Promise.resolve(),
  ) {
    this.#record = record;
    this.#audit = audit;
    this.#publish = publish;
  }

  get controlEpoch(): number {
    return this.#record.controlEpoch;
  }

  /**
   * Resolves when the epoch is audited, durable and published. Throws `conflict` CONTROL_EPOCH_STALE below the highest,
   * even if that was raised meanwhile, CONTROL_EPOCH_TOO_FAR more than `maxControlEpochStep` above it, and what the
   * audit log and the host record throw.
   */
  async raise(epoch: number, by: By): Promise<void> {
    requireControlEpoch(epoch, this.controlEpoch);
    const from = this.controlEpoch;
    if (epoch > from) {
      await this.#audit({ from, to: epoch, by });
      requireControlEpoch(epoch, this.controlEpoch);
    }
    const isNew = epoch > this.#record.controlFence.epoch;
    const durable = this.#record.raiseControlEpoch(epoch);
    if (isNew) this.#published = durable.then(this.#publish, nothing);
    await durable;
    await this.#published;
    // Another scheduler may have taken over meanwhile.
    requireCurrentEpoch(epoch, this.controlEpoch);
  }

  /** An administrator's decision, up or down. Resolves to the previous epoch when it is durable and published. */
  async reset(epoch: number): Promise<number> {
    if (!Number.isSafeInteger(epoch) || epoch < 0) {
      const why = `must be a whole number from 0 to ${Number.MAX_SAFE_INTEGER}`;
      const details = { fields: { control_epoch: why } };
      throw new SocleError("invalid", "REQUEST_INVALID", `control_epoch ${why}`, { details });
    }
    const before = this.controlEpoch;
    await this.#record.resetControlEpoch(epoch);
    await (this.#published = this.#publish());
    return before;
  }
}

/** Throws `conflict` CONTROL_EPOCH_STALE or CONTROL_EPOCH_TOO_FAR. */
export function requireControlEpoch(epoch: number, highest: number): void {
  requireCurrentEpoch(epoch, highest);
  if (epoch - highest <= maxControlEpochStep) return;
  const message =
    `control epoch ${epoch} is more than ${maxControlEpochStep} above ${highest}, the highest this host accepted. ` +
    "If it is right, an administrator on the host runs: socle host epoch reset --to N";
  throw controlEpochRefusal("CONTROL_EPOCH_TOO_FAR", message, highest);
}

/** Throws `conflict` CONTROL_EPOCH_STALE. */
export function requireCurrentEpoch(epoch: number, highest: number): void {
  if (epoch >= highest) return;
  const message = `the control epoch ${epoch} is older than ${highest}, which another scheduler has presented`;
  throw controlEpochRefusal("CONTROL_EPOCH_STALE", message, highest);
}

export const controlEpochRefusal = (reason: string, message: string, highest: number): SocleError =>
  new SocleError("conflict", reason, message, { details: { metadata: { control_epoch: String(highest) } } });

const nothing = (): void => undefined;
