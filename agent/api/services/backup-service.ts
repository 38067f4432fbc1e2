import { SocleError } from "../../kernel/errors.ts";
import type { BackupServiceHandlers } from "../../gen/socle/v1/BackupService.ts";
import type { ErrorEncoder } from "../convert/errors.ts";
import type { ServiceDependencies } from "./dependencies.ts";
import type { Methods } from "./handler.ts";

export function backupService(
  _dependencies: ServiceDependencies,
  _errors: ErrorEncoder,
): Methods<BackupServiceHandlers> {
  return {
    BeginBackup: notServed,
    GetBackup: notServed,
    ListBackups: notServed,
    RenewBackup: notServed,
    ListExtents: notServed,
    ReadExtents: notServed,
    FinishBackup: notServed,
    RestoreDisk: notServed,
  };
}

function notServed(): never {
  throw new SocleError("unsupported", "NOT_IMPLEMENTED", "this agent does not serve the method");
}
