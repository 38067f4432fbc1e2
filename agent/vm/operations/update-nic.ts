import { defined } from "../../kernel/defined.ts";
import * as z from "../../kernel/zod.ts";
import { SocleError } from "../../kernel/errors.ts";
import { nicLinks } from "../../contract/spec-enums.ts";
import { nicSpec, type NicSpec, type VmSpec } from "../../contract/spec.ts";
import type { Interface } from "../../libvirt/xml/index.ts";
import { nicAlias } from "../model/device-names.ts";
import { bandwidthOf } from "../observation/domain-document.ts";
import { checkPart } from "../model/spec-check.ts";
import { defineOperation, type Result } from "./definition.ts";
import { requireNic } from "./detach-nic.ts";
import { updateDevice } from "./device-update.ts";
import { requireSpecOf } from "./request.ts";
import { appliesTo, changeIntent } from "./spec-change.ts";
import { requireNotSaved } from "./vm-state.ts";
import type { WorkContext } from "./work.ts";

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
    const state = await updateDevice(context, run, {
      etag,
      deviceOf: (vm) => requireNic(vm, nic),
      change: () => changeDevice(context, run.vmId, nic, intent),
      restore: (before) => changeDevice(context, run.vmId, nic, valuesOf(before)),
      notAttached: "NIC_NOT_ATTACHED",
      write: (spec) => withValues(spec, nic, intent),
    });
    return resultOf(intent, state);
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
