import { defined } from "../../kernel/defined.ts";
import * as z from "../../kernel/zod.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import { nicSpec, type NicSpec, type VmSpec } from "../../contract/spec.ts";
import { buildInterface } from "../../libvirt/xml/index.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import { checkPart, checkRules, requireNicAllowed } from "../model/spec-check.ts";
import { requirePermitted } from "../model/tenant-policy.ts";
import type { VmState } from "../model/vm.ts";
import { nicAlias } from "../model/device-names.ts";
import { macOf, nicDevice } from "../observation/domain-document.ts";
import { defineOperation } from "./definition.ts";
import { stampComplete } from "./guest-run.ts";
import { requireMacFree } from "./nic-users.ts";
import { requireSpecOf } from "./request.ts";
import { appliesTo, beginChange, changeIntent, rewriteSpec, seenWith } from "./spec-change.ts";
import { undoAll, type Undo } from "./undo.ts";
import { requireNotSaved } from "./vm-state.ts";
import { isUndecided, mayHaveBegun, type WorkContext, type WorkRun } from "./work.ts";

const SPEC = "write spec";
const ATTACH = "attach";

interface AttachRequest {
  /** Unvalidated. */
  readonly nic: Readonly<Record<string, unknown>>;
  readonly etag?: string | undefined;
}

/** Adds a NIC to a VM, also to a running guest. A failure undoes what was done. */
export const attachNic = defineOperation({
  kind: "ATTACH_NIC",
  intent: z.object({ nic: nicSpec, ...changeIntent }),
  lane: "command",
  mayLeaveHalf: true,
  endState: "unchanged",
  adds: ({ nic }) => ({ nics: [nic] }),
  /**
   * Throws `invalid` SPEC_INVALID, `already_exists` NIC_EXISTS, `conflict` MAC_IN_USE and ETAG_MISMATCH, and what
   * requirePermitted throws for a caller of one tenant.
   */
  admit({ nic: asked, etag }: AttachRequest, vm, { byTenant, policy }) {
    const nic = checkPart(nicSpec, asked, "nic");
    requireNicAllowed(nic, policy, "nic");
    const { tenant } = vm;
    if (byTenant) requirePermitted({ tenant, nics: [nic] }, policy.permissionsOf(tenant));
    requireSpecOf(etag, vm);
    requireNotSaved(vm);
    if (vm.spec !== undefined) requireFits(vm.spec, nic);
    // Also of NICs that others have added to the domain.
    requireMacFree(
      macOf(vm.id, nic),
      vm.nics.map(({ mac }) => mac),
    );
    return defined({ nic, etag });
  },
  async plan({ networks }, { nic }, vm) {
    await networks.check({ nics: [nic] }, neededBy(vm));
    return { nic: nic.name, mac: macOf(vm.id, nic), applies: appliesTo(vm) };
  },
  async run(context, { nic, etag }, run) {
    const { domains, networks } = context;
    const { vmId, step } = run;
    const effects = new Set([SPEC, ATTACH].filter((name) => mayHaveBegun(run, name)));
    try {
      const { spec: before } = await beginChange(context, run, {
        etag,
        of: "devices",
        hasBegun: effects.has(ATTACH),
      });
      if (!effects.has(SPEC)) {
        requireFits(before, nic);
        await networks.check({ nics: [nic] }, neededBy(await domains.state(vmId)));
      }
      effects.add(SPEC);
      const spec = await step(SPEC, () => rewriteSpec(context, vmId, (stored) => withNic(stored, nic)));
      effects.add(ATTACH);
      const xml = buildInterface(nicDevice(vmId, nic));
      await step(ATTACH, () => domains.devices.attach(vmId, nicAlias(nic.name), xml), 0.5);
      const state = await domains.state(vmId);
      await stampComplete(context, run, isActive(state));
      await seenWith(context, spec);
      return { nic: nic.name, mac: macOf(vmId, nic), applies: appliesTo(state) };
    } catch (thrown) {
      const error = toSocleError(thrown);
      if (isUndecided(error, run)) throw error;
      throw await undoAll(context, run, undoes(context, run, nic, effects), error);
    }
  },
});

function undoes(
  context: WorkContext,
  { vmId }: WorkRun,
  { name }: NicSpec,
  effects: ReadonlySet<string>,
): Undo[] {
  const { domains } = context;
  const all: Undo[] = [
    {
      step: SPEC,
      async remove() {
        await removeFromSpec(context, vmId, name);
      },
    },
    {
      step: ATTACH,
      remove: () => domains.devices.takeBack(vmId, nicAlias(name)),
    },
  ];
  return all.filter(({ step }) => effects.has(step));
}

/** Removes the NIC from the spec. Also succeeds without the domain. */
export async function removeFromSpec(
  context: WorkContext,
  vmId: string,
  name: string,
): Promise<VmSpec | undefined> {
  if ((await context.domains.state(vmId)) === undefined) return undefined;
  return await rewriteSpec(context, vmId, (spec) => ({
    ...spec,
    nics: spec.nics.filter((nic) => nic.name !== name),
  }));
}

const withNic = (spec: VmSpec, nic: NicSpec): VmSpec =>
  spec.nics.some(({ name }) => name === nic.name) ? spec : { ...spec, nics: [...spec.nics, nic] };

function requireFits(spec: VmSpec, nic: NicSpec): void {
  const { name } = nic;
  if (spec.nics.some((other) => other.name === name)) {
    const message = `VM ${spec.name} has a NIC ${name} already; choose another name`;
    throw new SocleError("already_exists", "NIC_EXISTS", message, {
      details: { fields: { "nic.name": message } },
    });
  }
  checkRules(withNic(spec, nic), { part: ["nics", spec.nics.length], root: "nic" });
  requireMacFree(
    macOf(spec.id, nic),
    spec.nics.map((other) => macOf(spec.id, other)),
  );
}

/** libvirt plugs a running guest's NIC into an active network only. */
const neededBy = (vm: { readonly state: VmState } | undefined): "active" | "present" =>
  isActive(vm) ? "active" : "present";
