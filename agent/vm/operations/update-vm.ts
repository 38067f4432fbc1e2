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

const { labels, autostart } = vmSpec.shape;

/** The fields that a VM's owner may change, absent where they stay. Each takes effect at once. */
const changes = z.strictObject({
  labels: labels.unwrap().exactOptional(),
  autostart: autostart.unwrap().exactOptional(),
});
type Changes = Immutable<z.output<typeof changes>>;
const updatable = Object.keys(changes.shape);

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
    const other = updateMask.find((field) => !updatable.includes(field));
    if (updateMask.length === 0) throw badMask("names no field");
    if (other !== undefined) throw badMask(`names ${other}`);
    const values = Object.fromEntries(updateMask.map((field) => [field, spec[field]]));
    const changed = checkPart(changes, values, "spec");
    if (vm.spec !== undefined) checkRules(withChanges(vm.spec, changed));
    return defined({ changes: changed, etag });
  },
  plan: (_context, { changes: changed }) =>
    Promise.resolve({ changes: Object.keys(changed).join(","), applies: "now" }),
  async run(context, { changes: changed, etag }, run) {
    const { domains } = context;
    const { vmId, step } = run;
    // Autostart and the spec change together.
    if (mayHaveBegun(run, SPEC)) step.goOn();
    await beginChange(context, run, { etag, of: "metadata" });
    step.commit();
    const spec = await step(SPEC, () => rewriteSpec(context, vmId, (before) => withChanges(before, changed)));
    if (changed.autostart !== undefined) {
      const { autostart: on } = changed;
      await step("set autostart", () => domains.setAutostart(vmId, on));
    }
    await stampComplete(context, run, isActive(await domains.state(vmId)));
    await seenWith(context, spec);
    return { changed: Object.keys(changed).join(",") };
  },
});

const withChanges = (spec: VmSpec, changed: Changes): VmSpec => ({ ...spec, ...changed });

function badMask(problem: string): SocleError {
  const message = `update_mask ${problem}; the fields that can be changed are ${updatable.join(", ")}`;
  return new SocleError("invalid", "UPDATE_MASK_INVALID", message, {
    details: { fields: { update_mask: message } },
  });
}
