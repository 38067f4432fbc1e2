import * as z from "zod";
import type { Secret } from "../libvirt/index.ts";

/** What the lease of a libvirt says of its holder: the description of a secret, as JSON. */
const leaseSchema = z.looseObject({
  socle: z.literal("lease"),
  stateId: z.string(),
  stateDirectory: z.string(),
  /** Of one start of an agent. */
  holder: z.string().optional(),
  agentEpoch: z.number().int().min(0),
  process: z.object({ pid: z.number(), start: z.string(), bootId: z.string(), namespace: z.string() }),
  /** Counts up while the holder lives. */
  beat: z.number().int().min(0),
  /** Of the holder's state directory. */
  watermark: z.number().int().min(0).default(0),
  /** The holder stopped in good order. */
  released: z.boolean(),
});
export type Lease = z.output<typeof leaseSchema>;

export interface Found {
  readonly secret: Secret;
  /** Undefined: it is none that this version knows. */
  readonly lease: Lease | undefined;
}

export function leaseOf(description: string | undefined): Lease | undefined {
  try {
    return leaseSchema.safeParse(JSON.parse(description ?? "")).data;
  } catch {
    return undefined;
  }
}
