import { defined } from "../../kernel/defined.ts";
import * as z from "../../kernel/zod.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import { nicLinks } from "../../contract/spec-enums.ts";
import type { NicSpec, VmSpec } from "../../contract/spec.ts";
import type { Interface } from "../../libvirt/xml/index.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import { nicAlias } from "../model/device-names.ts";
import { defineOperation } from "./definition.ts";
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

const intent = z.object({
  nic: z.string(),
  link: z.enum(nicLinks.words),
  ...changeIntent,
});

interface UpdateRequest {
  readonly nic: string;
  /** Undefined: unchanged. */
  readonly link?: Link | undefined;
  readonly etag?: string | undefined;
}

/** Changes a NIC of a VM to the given values, also of a running guest. A failure undoes what was done. */
export const updateNic = defineOperation({
  kind: "UPDATE_NIC",
  intent,
  lane: "command",
  mayLeaveHalf: true,
  endState: "unchanged",
  /** Throws `not_found` NIC_NOT_FOUND, `invalid` UPDATE_EMPTY, `conflict` ETAG_MISMATCH. */
  admit({ nic, link, etag }: UpdateRequest, vm) {
    requireSpecOf(etag, vm);
    requireNotSaved(vm);
    const { name } = requireNic(vm, nic);
    if (link === undefined) throw nothingToChange(name);
    return defined({ nic: name, link, etag });
  },
  plan: (_context, { nic, link }, vm) => Promise.resolve({ nic, link, applies: appliesTo(vm) }),
  async run(context, { nic, link, etag }, run) {
    const { domains } = context;
    const { vmId, step, done } = run;
    let mayBeChanged = mayHaveBegun(run, DEVICE);
    try {
      // The spec has the new values, so that an undo would keep them.
      if (done.has(SPEC)) step.goOn();
      await beginChange(context, run, { etag, of: "devices", hasBegun: mayBeChanged });
      mayBeChanged = true;
      await step(DEVICE, () => changeDevice(context, vmId, nic, link), 0.6);
      const spec = await step(SPEC, () =>
        rewriteSpec(context, vmId, (before) => withLink(before, nic, link)),
      );
      const state = await domains.state(vmId);
      await stampComplete(context, run, isActive(state));
      await seenWith(context, spec);
      return { nic, link, applies: appliesTo(state) };
    } catch (thrown) {
      const error = toSocleError(thrown);
      if (isUndecided(error, run)) throw error;
      const undo = { step: DEVICE, remove: () => asInSpec(context, vmId, nic) };
      throw await undoAll(context, run, mayBeChanged ? [undo] : [], error);
    }
  },
});

async function changeDevice({ domains }: WorkContext, vmId: string, name: string, link: Link): Promise<void> {
  await domains.devices.changeNic(vmId, nicAlias(name), (device) => withDeviceLink(device, link));
}

/** The spec is written last: until then it has the values from before. */
async function asInSpec(context: WorkContext, vmId: string, name: string): Promise<void> {
  if ((await context.domains.state(vmId)) === undefined) return;
  const nic = (await readSpec(context, vmId)).spec.nics.find((each) => each.name === name);
  if (nic === undefined) return;
  try {
    await changeDevice(context, vmId, name, linkOf(nic));
  } catch (thrown) {
    // A NIC that is not there was not changed.
    if (toSocleError(thrown).reason !== "NIC_NOT_ATTACHED") throw thrown;
  }
}

const linkOf = ({ linkDown }: NicSpec): Link => (linkDown === true ? "down" : "up");

/** A link that is up is not written. */
function withDeviceLink({ linkState: _, ...device }: Interface, link: Link): Interface {
  return link === "down" ? { ...device, linkState: "down" } : device;
}

const withLink = (spec: VmSpec, name: string, link: Link): VmSpec => ({
  ...spec,
  nics: spec.nics.map((nic) => {
    if (nic.name !== name) return nic;
    const { linkDown: _, ...same } = nic;
    return link === "down" ? { ...same, linkDown: true } : same;
  }),
});

function nothingToChange(nic: string): SocleError {
  const message = `the request changes nothing of NIC ${nic}; set link_state`;
  return new SocleError("invalid", "UPDATE_EMPTY", message, {
    details: { fields: { link_state: message } },
  });
}
