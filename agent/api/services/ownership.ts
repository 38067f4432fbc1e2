import { tenantOfVolume } from "../../contract/spec-volume-name.ts";
import { isVisibleTo } from "../../vm/images/image-store.ts";
import { vmOfVolume } from "../../vm/model/volume-names.ts";
import type { Owns } from "../convert/errors.ts";
import type { ServiceDependencies } from "./dependencies.ts";
import { forCaller } from "./tenancy.ts";

/** Whether a word is the id of a VM, an operation or an image that the caller sees, or names a volume of its tenant. */
export const ownership =
  (dependencies: Pick<ServiceDependencies, "vmView" | "vms" | "operations" | "imageStore">): Owns =>
  ({ name, tenant = "" }, word) => {
    const { vmView, operations } = forCaller(dependencies)({ name, tenant });
    const isVm = (id: string): boolean =>
      (vmView.get(id) ?? vmView.hidden?.(id)) !== undefined ||
      // It is being made, or was deleted.
      operations.list({ vmId: id, limit: 1 }).length > 0;
    const image = dependencies.imageStore.find(word);
    const maker = vmOfVolume(word);
    return (
      isVm(word) ||
      (image !== undefined && isVisibleTo(tenant, image)) ||
      tenantOfVolume(word) === tenant ||
      (maker !== undefined && isVm(maker)) ||
      isOperation(operations, word)
    );
  };

function isOperation(operations: Pick<ServiceDependencies["operations"], "get">, id: string): boolean {
  try {
    return operations.get(id).id === id;
  } catch {
    return false;
  }
}
