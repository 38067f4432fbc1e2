import type { Controller } from "../../libvirt/xml/index.ts";
import { toSocleError } from "../../kernel/errors.ts";
import { missingPciePorts } from "../model/pcie-ports.ts";
import type { WorkContext, WorkRun } from "./work.ts";

/**
 * Gives the definition of a VM that is off the spare PCIe ports that it lacks: VMs of version 0.1.0 have none, and each device
 * that was added since has taken one. Without them a VM starts too.
 */
export async function addSparePorts(
  { domains, log }: WorkContext,
  { vmId, step }: Pick<WorkRun, "vmId" | "step">,
): Promise<void> {
  const unlessRefused = async <T>(work: Promise<T>): Promise<T | undefined> =>
    await work.catch((thrown: unknown) => {
      const error = toSocleError(thrown);
      log.warn(
        { vm: vmId, err: error },
        "the VM has too few spare PCIe ports; fewer devices can be added to it",
      );
      return undefined;
    });
  const lacking = async (): Promise<readonly Controller[]> => {
    const document = await domains.document(vmId);
    const missing = document === undefined ? [] : missingPciePorts(document.devices);
    // A saved guest goes on with the devices that it had.
    return missing.length === 0 || (await domains.savedStates.exists(vmId)) ? [] : missing;
  };
  const missing = (await unlessRefused(lacking())) ?? [];
  if (missing.length > 0)
    await step("add PCIe ports", () => unlessRefused(domains.devices.addControllers(vmId, missing)));
}
