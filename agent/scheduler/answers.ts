import * as z from "../kernel/zod.ts";
import { SocleError } from "../kernel/errors.ts";
import type { Duration__Output } from "../gen/google/protobuf/Duration.ts";
import type { Ack__Output } from "../gen/socle/v1/Ack.ts";
import type { Reconnect__Output } from "../gen/socle/v1/Reconnect.ts";
import type { ReportResponse__Output } from "../gen/socle/v1/ReportResponse.ts";
import type { Welcome__Output } from "../gen/socle/v1/Welcome.ts";

// Validates a scheduler's answers before use: their counters are written to files and sent on the wire later.

/** The scheduler's requested terms, within bounds. */
export interface Terms {
  readonly controlEpoch: number;
  readonly heartbeatMs: number;
  readonly reconnectSpreadMs: number;
}

/** A scheduler that is about to restart: when and where to reconnect. */
export interface Reconnect {
  /** The scheduler's value, within bounds. */
  readonly delayMs: number;
  /** Empty: the same address. */
  readonly address: string;
}

/** The scheduler's state of this host. */
export interface Known {
  /** Empty: none. */
  readonly digest: string;
  readonly generation: number;
  readonly agentEpoch: number;
  readonly eventSequence: number;
  /** The event log that the number belongs to; empty: unknown. */
  readonly eventLogId: string;
}

const minReconnectMs = 1000;
const maxReconnectMs = 3_600_000;

/** Up to 2^53-1: a larger number does not arrive exactly. */
const counter = z.int().min(0);
const digest = z.string().regex(/^([0-9a-f]{64})?$/, "must be empty or 64 lower-case hexadecimal digits");

const welcomeSchema = z.object({
  knownDigest: digest,
  knownGeneration: counter,
  knownAgentEpoch: counter,
  knownEventSequence: counter,
  knownEventLogId: z.string().regex(/^[0-9a-f-]{0,36}$/, "must be empty or an Event.log_id"),
  controlEpoch: counter,
});
const ackSchema = z.object({ generation: counter, eventSequence: counter });
const reportSchema = z.object({ digest });
const reconnectSchema = z.object({
  address: z
    .string()
    .max(262)
    .regex(/^((\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):\d{1,5})?$/, "must be empty or ADDRESS:PORT"),
});

/** Throws `invalid` SCHEDULER_ANSWER_INVALID, as the other functions here. */
export function welcomeOf(welcome: Welcome__Output): { readonly terms: Terms; readonly known: Known } {
  const known = checked("Welcome", welcomeSchema, welcome);
  return {
    terms: {
      controlEpoch: known.controlEpoch,
      heartbeatMs: within(welcome.heartbeatInterval, 100, 10_000, 300_000),
      reconnectSpreadMs: within(welcome.reconnectSpread, 0, 5000, 600_000),
    },
    known: {
      digest: known.knownDigest,
      generation: known.knownGeneration,
      agentEpoch: known.knownAgentEpoch,
      eventSequence: known.knownEventSequence,
      eventLogId: known.knownEventLogId,
    },
  };
}

export const ackOf = (ack: Ack__Output): { readonly generation: number; readonly eventSequence: number } =>
  checked("Ack", ackSchema, ack);

export function reconnectOf(reconnect: Reconnect__Output): Reconnect {
  const { address } = checked("Reconnect", reconnectSchema, reconnect);
  return { address, delayMs: within(reconnect.delay, minReconnectMs, minReconnectMs, maxReconnectMs) };
}

/** The digest that the scheduler holds after a report. */
export const reportDigestOf = (response: ReportResponse__Output): string =>
  checked("ReportResponse", reportSchema, response).digest;

function checked<Value>(name: string, schema: z.ZodType<Value>, answer: unknown): Value {
  const { data, error } = schema.safeParse(answer);
  if (error === undefined) return data;
  const why = error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; ");
  const message = `the scheduler's ${name} is refused: ${why}`;
  throw new SocleError("invalid", "SCHEDULER_ANSWER_INVALID", message, { cause: error });
}

/** `usual` when the scheduler sends none. */
function within(duration: Duration__Output | null, min: number, usual: number, max: number): number {
  const ms = duration === null ? usual : duration.seconds * 1000 + duration.nanos / 1e6;
  return Math.min(max, Math.max(min, ms));
}
