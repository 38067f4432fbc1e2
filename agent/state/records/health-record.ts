import * as z from "../../kernel/zod.ts";

const leftOnSchema = z.object({
  condition: z.string(),
  trigger: z.string(),
  /** The disk, DIMM or pool concerned; "": the host. */
  subject: z.string(),
  evidence: z.string(),
  sinceMs: z.number(),
  /** The boot in which it began. */
  bootId: z.string(),
});

/** Holds a health condition until an operator acknowledges it, or a reboot and an operator do. */
const latchSchema = leftOnSchema.extend({
  cause: z.enum(["flapping", "acknowledge", "reboot_and_acknowledge"]),
  acknowledged: z.boolean(),
});

/** A completed request: a repetition must not release a later latch. */
const acknowledgementSchema = z.object({ requestId: z.string(), condition: z.string(), atMs: z.number() });

/** Positions in logs that outlive the agent, and the counts up to there. */
const seenLogsSchema = z.object({
  /** The kernel's log of one boot: read up to this record. */
  kernel: z
    .object({ bootId: z.string(), record: z.number(), counts: z.record(z.string(), z.number()) })
    .optional(),
  /** The BMC's log: its newest entries. */
  bmc: z
    .object({ entries: z.array(z.string()).readonly(), counts: z.record(z.string(), z.number()) })
    .optional(),
});

export const healthRecordSchema = z.object({
  latches: z.array(latchSchema),
  /**
   * Active conditions without a latch: they stay active for the next agent until their rule clears them. Absent in
   * older records.
   */
  leftOn: z.array(leftOnSchema).optional(),
  acknowledgements: z.array(acknowledgementSchema),
  /** Absent in older records. */
  seenLogs: seenLogsSchema.optional(),
  /** Hardware seen in that boot, by kind. Absent in older records. */
  seen: z.object({ bootId: z.string(), names: z.record(z.string(), z.array(z.string())) }).optional(),
});

export type HealthRecord = z.output<typeof healthRecordSchema>;
export type SeenLogs = Readonly<z.output<typeof seenLogsSchema>>;
export type LeftOn = Readonly<z.output<typeof leftOnSchema>>;
export type Latch = Readonly<z.output<typeof latchSchema>>;
