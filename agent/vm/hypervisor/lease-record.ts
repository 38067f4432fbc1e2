import * as z from "../../kernel/zod.ts";
import type { ControlFence } from "../../state/records/control-fence.ts";
import type { Found } from "./unique-secret.ts";

const process = z.object({ pid: z.number(), start: z.string(), bootId: z.string(), namespace: z.string() });

/** Limit of a Date. */
const MAX_TIME_MS = 8.64e15;

/** The record of its holder in the lease of a libvirt. */
export const leaseSchema = z.looseObject({
  socle: z.literal("lease"),
  stateId: z.string(),
  stateDirectory: z.string(),
  /** One start of an agent. */
  holder: z.string().optional(),
  agentEpoch: z.number().int().min(0),
  process,
  /** Counts up while the holder lives. */
  beat: z.number().int().min(0),
  /** Of the holder's state directory. */
  watermark: z.number().int().min(0).default(0),
  /** ControlFence of the holder. Older agents wrote none. */
  controlEpoch: z.number().int().min(0).default(0),
  controlEpochResets: z.number().int().min(0).default(0),
  /** `Trust.listTimes` of the holder. Older agents wrote none. */
  revocationLists: z
    .record(z.string().regex(/^[0-9a-f]{64}$/), z.number().int().min(0).max(MAX_TIME_MS))
    .default({}),
  /** The holder stopped cleanly. */
  released: z.boolean(),
});
export type Lease = z.output<typeof leaseSchema>;

export const fenceOf = ({ controlEpoch, controlEpochResets }: Lease): ControlFence => ({
  epoch: controlEpoch,
  resets: controlEpochResets,
});

/** Identifies one write among all writes of leases. */
export const writeOf = ({ holder, beat }: Lease): string => `${holder} ${beat}`;

/** Undefined record: this version does not know its format. */
export type FoundLease = Found<Lease>;

/** The agent that takes over from an ended holder. */
export const successionSchema = z.looseObject({
  socle: z.literal("succession"),
  /** As in Lease. */
  holder: z.string(),
  process,
});
export type FoundSuccession = Found<z.output<typeof successionSchema>>;
