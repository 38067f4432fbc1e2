import { defined } from "../../kernel/defined.ts";
import { specEnums } from "../../contract/spec-enums.ts";
import type { Operation } from "../../state/operations/operation.ts";
import type { Operation as ProtoOperation } from "../../gen/socle/v1/Operation.ts";
import type { StorageServiceHandlers } from "../../gen/socle/v1/StorageService.ts";
import type { Caller } from "../auth/identity.ts";
import type { ErrorEncoder } from "../convert/errors.ts";
import { operationToProto } from "../convert/operation.ts";
import type { ServiceDependencies } from "./dependencies.ts";
import type { Methods } from "./handler.ts";
import { requireTenant } from "./tenancy.ts";

/** The methods of StorageService that change volumes. */
export function volumeChanges(
  { poolVolumes }: Pick<ServiceDependencies, "poolVolumes">,
  errors: ErrorEncoder,
): Pick<Methods<StorageServiceHandlers>, "CreateVolume" | "ResizeVolume" | "DeleteVolume"> {
  const by = ({ tenant: onlyTenant, behalf }: Caller) => defined({ behalf, onlyTenant });
  const reply = async (operation: Promise<Operation>, caller: Caller): Promise<ProtoOperation> =>
    operationToProto(await operation, errors, caller);
  return {
    CreateVolume({ format, tenant, ...request }, { caller }) {
      if (caller.tenant !== undefined) requireTenant(tenant, caller.tenant);
      const asked = {
        ...request,
        ...by(caller),
        tenant: caller.tenant ?? tenant,
        format: specEnums.diskFormat.fromProto("format", format) ?? "qcow2",
      };
      return reply(poolVolumes.create(asked, caller.name), caller);
    },
    ResizeVolume: (request, { caller }) =>
      reply(poolVolumes.resize({ ...request, ...by(caller) }, caller.name), caller),
    DeleteVolume: (request, { caller }) =>
      reply(poolVolumes.delete({ ...request, ...by(caller) }, caller.name), caller),
  };
}
