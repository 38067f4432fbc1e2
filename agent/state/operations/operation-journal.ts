import * as z from "../../kernel/zod.ts";
import { Journal } from "../journal/journal.ts";
import type { OperationsOptions } from "./requests.ts";
import { OperationTable } from "./operation-table.ts";
import { defined } from "../../kernel/defined.ts";

const text = z.string();
const count = z.number().int().min(0);
const step = z.looseObject({ name: text, startedAtMs: z.number(), endedAtMs: z.number().optional() });
const state = z.enum(["running", "succeeded", "failed", "cancelled", "outcome_unknown"]);
const error = z.looseObject({ kind: text, reason: text, message: text, metadata: z.record(text, text) });
const result = z.record(text, text);
const ending = {
  state,
  progress: z.number().min(0).max(1),
  result,
  error: error.optional(),
  endedAtMs: z.number().optional(),
  endedSinceBoot: z.looseObject({ bootId: text, ms: z.number() }).optional(),
  cancelledBy: text.optional(),
};

/** The journal's records. Unknown fields of later versions are kept; a record of another kind is refused. */
const recordSchema = z.discriminatedUnion("t", [
  z.looseObject({
    t: z.literal("begin"),
    fingerprint: text,
    operation: z.looseObject({
      ...ending,
      id: text,
      requestId: text,
      kind: text,
      vmId: text,
      instance: text.optional(),
      tenant: text.optional(),
      caller: text,
      steps: z.array(step),
      createdAtMs: z.number(),
      decided: z.looseObject(ending).optional(),
    }),
  }),
  z.looseObject({ t: z.literal("step"), id: text, index: count, step, progress: z.number().min(0).max(1) }),
  z.looseObject({ t: z.enum(["decided", "end"]), id: text, ...ending }),
]);

/** Opens the journal of operations, and fills the table from it. Throws what Journal.open throws. */
export async function openOperationJournal(
  options: OperationsOptions,
): Promise<{ journal: Journal; table: OperationTable }> {
  const { onUnreadable } = options;
  let table = new OperationTable(options);
  const journal = await Journal.open(
    `${options.directory}/operations.journal`,
    defined({
      ...options,
      kind: "operations",
      schema: recordSchema,
      replay: (record) => table.replay(record),
      live: () => table.live(),
      onUnreadable:
        onUnreadable &&
        ((why) => {
          // A part of it would show outdated states.
          table = new OperationTable(options);
          onUnreadable(why);
        }),
    }),
  );
  table.replayed();
  return { journal, table };
}
