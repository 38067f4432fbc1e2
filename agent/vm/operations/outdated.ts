import { SocleError } from "../../kernel/errors.ts";
import type { Operation } from "../../state/operations/operation.ts";
import type { Outcome } from "../../state/operations/operations.ts";
import { instanceMadeBy } from "./create.ts";
import type { Domains } from "../hypervisor/domains.ts";
import { isComplete, type Admitted } from "../hypervisor/stamps.ts";
import { definitionOf, type Intent } from "./registry.ts";

/**
 * Whether only the watermark keeps an older copy of the state from doing it again: nothing in libvirt shows a change that
 * failed, and a VM that was created may be removed by others, with the stamp in it.
 */
export const isShownByWatermarkAlone = ({ kind, state }: Pick<Operation, "kind" | "state">): boolean =>
  state !== "succeeded" || kind === "CREATE_VM";

/**
 * The end of an operation that has none because the state directory is older than what was done with it. Nothing is done for
 * it: it succeeded where libvirt shows that, and else it is not known what became of it. Throws libvirt's errors.
 */
export async function outdatedOutcome(
  domains: Domains,
  operation: Admitted,
  intent: Intent,
): Promise<Outcome> {
  const { vmId } = operation;
  const now = await domains.settledState(vmId);
  const standing = now === undefined ? undefined : await domains.stamps.standing(vmId);
  if (intent.kind === "CREATE_VM") {
    const isMade = standing !== undefined && standing.instance === instanceMadeBy(intent, operation);
    if (isMade && now !== undefined)
      return { state: "succeeded", result: { state: now.state, accelerator: intent.accelerator } };
  }
  const { endState } = definitionOf(intent.kind);
  const isSame = standing !== undefined && standing.instance === operation.instance;
  if (endState !== undefined && isSame && isComplete(operation, standing))
    return { state: "succeeded", result: { state: endState } };
  return { state: "failed", error: superseded(vmId) };
}

const superseded = (vmId: string): SocleError =>
  new SocleError(
    "conflict",
    "OPERATION_SUPERSEDED",
    `the state directory was rolled back to before the end of this operation, and nothing more is done for it: what became of it is ` +
      `not known here; look at VM ${vmId}, and ask again for what is still wanted`,
  );
