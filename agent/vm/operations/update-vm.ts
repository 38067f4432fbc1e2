import { defined } from "../../kernel/defined.ts";
import * as z from "../../kernel/zod.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { Immutable } from "../../kernel/immutable.ts";
import { vmSpec, type VmSpec } from "../../contract/spec.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import { checkPart, checkRules } from "../model/spec-check.ts";
import { defineOperation } from "./definition.ts";
import { stampComplete } from "./guest-run.ts";
import { requireSpecOf } from "./request.ts";
import { beginChange, changeIntent, rewriteSpec, seenWith } from "./spec-change.ts";
import { mayHaveBegun } from "./work.ts";

const SPEC = "write spec";

const { labels, autostart, startPriority, startDelaySeconds, crashPolicy } = vmSpec.shape;

/** The fields that a VM's owner may change, absent where they stay. Each takes effect at once. */
const changes = z.strictObject({
  labels: labels.unwrap().exactOptional(),
  autostart: autostart.unwrap().exactOptional(),
  startPriority,
  startDelaySeconds,
  crashPolicy,
});
type Changes = Immutable<z.output<typeof changes>>;
/** By the contract's name of the field. */
const updatable = new Map(
  Object.keys(changes.shape).map((field) => [
    field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    field,
  ]),
);
/** The values of optional fields that a request leaves empty. */
const empty: Readonly<Record<string, unknown>> = {
  startPriority: 0,
  startDelaySeconds: 0,
  crashPolicy: "stop",
};

const intent: z.ZodType<{ readonly changes: Changes; readonly etag?: string }> = z.object({
  changes,
  ...changeIntent,
});

interface UpdateRequest {
  /** The new values, unvalidated. */
  readonly spec: Readonly<Record<string, unknown>>;
  /** The names of the fields to change. */
  readonly updateMask: readonly string[];
  readonly etag?: string | undefined;
}

/** Changes fields of a VM's spec to the given values. */
export const updateVm = defineOperation({
  kind: "UPDATE_VM",
  intent,
  lane: "command",
  mayLeaveHalf: true,
  endState: "unchanged",
  /** Throws `invalid` UPDATE_MASK_INVALID and SPEC_INVALID, `conflict` ETAG_MISMATCH. */
  admit({ spec, updateMask, etag }: UpdateRequest, vm) {
    requireSpecOf(etag, vm);
    const other = updateMask.find((path) => !updatable.has(path));
    if (updateMask.length === 0) throw badMask("names no field");
    if (other !== undefined) throw badMask(`names ${other}`);
    const fields = updateMask.flatMap((path) => updatable.get(path) ?? []);
    const values = Object.fromEntries(fields.map((field) => [field, spec[field] ?? empty[field]]));
    const changed = checkPart(changes, values, "spec");
    if (vm.spec !== undefined) checkRules(withChanges(vm.spec, changed));
    return defined({ changes: changed, etag });
  },
  plan: (_context, { changes: changed }) =>
    Promise.resolve({ changes: Object.keys(changed).join(","), applies: "now" }),
  async run(context, { changes: changed, etag }, run) {
    const { domains } = context;
    const { vmId, step } = run;
    if (mayHaveBegun(run, SPEC)) step.goOn();
    await beginChange(context, run, { etag, of: "metadata" });
    step.commit();
    const spec = await step(SPEC, () => rewriteSpec(context, vmId, (before) => withChanges(before, changed)));
    await stampComplete(context, run, isActive(await domains.state(vmId)));
    await seenWith(context, spec);
    return { changed: Object.keys(changed).join(",") };
  },
});

const withChanges = (spec: VmSpec, changed: Changes): VmSpec => ({ ...spec, ...changed });

function badMask(problem: string): SocleError {
  const message = `update_mask ${problem}; the fields that can be changed are ${[...updatable.keys()].join(", ")}`;
  return new SocleError("invalid", "UPDATE_MASK_INVALID", message, {
    details: { fields: { update_mask: message } },
  });
}
