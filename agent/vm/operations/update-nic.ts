import { defined } from "../../kernel/defined.ts";
import * as z from "../../kernel/zod.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import { nicLinks } from "../../contract/spec-enums.ts";
import { nicSpec, type NicSpec, type VmSpec } from "../../contract/spec.ts";
import type { Interface } from "../../libvirt/xml/index.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import { nicAlias } from "../model/device-names.ts";
import { bandwidthOf } from "../observation/domain-document.ts";
import { checkPart } from "../model/spec-check.ts";
import { defineOperation, type Result } from "./definition.ts";
import { requireNic } from "./detach-nic.ts";
import { stampComplete } from "./guest-run.ts";
import { requireSpecOf } from "./request.ts";
import { appliesTo, beginChange, changeIntent, readSpec, rewriteSpec, seenWith } from "./spec-change.ts";
import { undoAll } from "./undo.ts";
import { requireNotSaved } from "./vm-state.ts";
import { isUndecided, mayHaveBegun, type WorkContext } from "./work.ts";

const DEVICE = "change device";
const SPEC = "write spec";

type Link = (typeof nicLinks.words)[number];

const nicLimits = nicSpec.shape.limits.unwrap();

const intent = z.object({
  nic: z.string(),
  link: z.enum(nicLinks.words).exactOptional(),
  /** Null: none. */
  limits: nicLimits.nullable().exactOptional(),
  ...changeIntent,
});
type Intent = z.output<typeof intent>;
/** The members that change; the others stay as they are. */
type Values = Pick<Intent, "link" | "limits">;

interface UpdateRequest {
  readonly nic: string;
  /** Undefined: unchanged. */
  readonly link?: Link | undefined;
  /** Unvalidated; without a limit: none. Undefined: unchanged. */
  readonly limits?: object | undefined;
  readonly etag?: string | undefined;
}

/** Changes a NIC of a VM to the given values, also of a running guest. A failure undoes what was done. */
export const updateNic = defineOperation({
  kind: "UPDATE_NIC",
  intent,
  lane: "command",
  mayLeaveHalf: true,
  endState: "unchanged",
  /** Throws `not_found` NIC_NOT_FOUND, `invalid` UPDATE_EMPTY and SPEC_INVALID, `conflict` ETAG_MISMATCH. */
  admit({ nic, link, limits: asked, etag }: UpdateRequest, vm) {
    requireSpecOf(etag, vm);
    requireNotSaved(vm);
    const { name } = requireNic(vm, nic);
    if (link === undefined && asked === undefined) throw nothingToChange(name);
    return defined<Intent>({ nic: name, link, limits: asked && limitsOf(asked), etag });
  },
  plan: (_context, intent, vm) => Promise.resolve(resultOf(intent, vm)),
  async run(context, intent, run) {
    const { nic, etag } = intent;
    const { domains } = context;
    const { vmId, step, done } = run;
    let mayBeChanged = mayHaveBegun(run, DEVICE);
    try {
      // The spec has the new values, so that an undo would keep them.
      if (done.has(SPEC)) step.goOn();
      await beginChange(context, run, { etag, of: "devices", hasBegun: mayBeChanged });
      mayBeChanged = true;
      await step(DEVICE, () => changeDevice(context, vmId, nic, intent), 0.6);
      const spec = await step(SPEC, () =>
        rewriteSpec(context, vmId, (before) => withValues(before, nic, intent)),
      );
      const state = await domains.state(vmId);
      await stampComplete(context, run, isActive(state));
      await seenWith(context, spec);
      return resultOf(intent, state);
    } catch (thrown) {
      const error = toSocleError(thrown);
      if (isUndecided(error, run)) throw error;
      const undo = { step: DEVICE, remove: () => asInSpec(context, vmId, nic) };
      throw await undoAll(context, run, mayBeChanged ? [undo] : [], error);
    }
  },
});

const limitsOf = (asked: object): Intent["limits"] =>
  Object.keys(asked).length === 0
    ? null
    : checkPart(z.object({ limits: nicLimits }), { limits: asked }).limits;

const resultOf = ({ nic, link, limits }: Intent, vm: Parameters<typeof appliesTo>[0]): Result =>
  defined<Result>({
    nic,
    ...defined({ link, limits: limits === undefined ? undefined : limits === null ? "none" : "set" }),
    applies: appliesTo(vm),
  });

async function changeDevice(
  { domains }: WorkContext,
  vmId: string,
  name: string,
  values: Values,
): Promise<void> {
  await domains.devices.changeNic(vmId, nicAlias(name), (device) => withDeviceValues(device, values));
}

/** The spec is written last: until then it has the values from before. */
async function asInSpec(context: WorkContext, vmId: string, name: string): Promise<void> {
  if ((await context.domains.state(vmId)) === undefined) return;
  const nic = (await readSpec(context, vmId)).spec.nics.find((each) => each.name === name);
  if (nic === undefined) return;
  try {
    await changeDevice(context, vmId, name, valuesOf(nic));
  } catch (thrown) {
    // A NIC that is not there was not changed.
    if (toSocleError(thrown).reason !== "NIC_NOT_ATTACHED") throw thrown;
  }
}

const valuesOf = ({ linkDown, limits }: NicSpec): Required<Values> => ({
  link: linkDown === true ? "down" : "up",
  limits: limits ?? null,
});

/** A link that is up, and limits that are none, are not written. */
function withDeviceValues(device: Interface, { link, limits }: Values): Interface {
  const { linkState, bandwidth, ...same } = device;
  return defined<Interface>({
    ...same,
    linkState: link === undefined ? linkState : link === "down" ? link : undefined,
    bandwidth: limits === undefined ? bandwidth : limits === null ? undefined : bandwidthOf(limits),
  });
}

const withValues = (spec: VmSpec, name: string, { link, limits }: Values): VmSpec => ({
  ...spec,
  nics: spec.nics.map((nic) => {
    if (nic.name !== name) return nic;
    const { linkDown, limits: before, ...same } = nic;
    return defined<NicSpec>({
      ...same,
      linkDown: link === undefined ? linkDown : link === "down" ? true : undefined,
      limits: limits === undefined ? before : (limits ?? undefined),
    });
  }),
});

function nothingToChange(nic: string): SocleError {
  const message = `the request changes nothing of NIC ${nic}; set link_state or limits`;
  return new SocleError("invalid", "UPDATE_EMPTY", message, {
    details: { fields: { link_state: message } },
  });
}
