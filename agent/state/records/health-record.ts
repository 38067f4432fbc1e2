import * as z from "zod";

const leftOnSchema = z.object({
  condition: z.string(),
  trigger: z.string(),
  /** The disk, DIMM or pool it is about; "": the host. */
  subject: z.string(),
  evidence: z.string(),
  sinceMs: z.number(),
  /** The boot that it came in. */
  bootId: z.string(),
});

/** What holds a health condition until an operator, or a reboot and an operator, let it go. */
const latchSchema = leftOnSchema.extend({
  cause: z.enum(["flapping", "acknowledge", "reboot_and_acknowledge"]),
  acknowledged: z.boolean(),
});

/** A request that was carried out, so that asking again does not let go what came after it. */
const acknowledgementSchema = z.object({ requestId: z.string(), condition: z.string(), atMs: z.number() });

/** How far logs were seen that outlive the agent, and what was counted in them. */
const seenLogsSchema = z.object({
  /** The kernel's log of one boot: all up to this record. */
  kernel: z
    .object({ bootId: z.string(), record: z.number(), counts: z.record(z.string(), z.number()) })
    .optional(),
  /** The BMC's: its newest entries. */
  bmc: z
    .object({ entries: z.array(z.string()).readonly(), counts: z.record(z.string(), z.number()) })
    .optional(),
});

export const healthRecordSchema = z.object({
  latches: z.array(latchSchema),
  /** What is on without a latch, and stays on for the next agent until it leaves by its rule. Absent in what earlier versions wrote. */
  leftOn: z.array(leftOnSchema).optional(),
  acknowledgements: z.array(acknowledgementSchema),
  /** Absent in what earlier versions wrote. */
  seenLogs: seenLogsSchema.optional(),
  /** What the machine was seen to have in that boot, by what it is. Absent in what earlier versions wrote. */
  seen: z.object({ bootId: z.string(), names: z.record(z.string(), z.array(z.string())) }).optional(),
});

export type HealthRecord = z.output<typeof healthRecordSchema>;
export type SeenLogs = Readonly<z.output<typeof seenLogsSchema>>;
export type LeftOn = Readonly<z.output<typeof leftOnSchema>>;
export type Latch = Readonly<z.output<typeof latchSchema>>;
