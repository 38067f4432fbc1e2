import { invalidField } from "../../kernel/errors.ts";
import { systemClock } from "../../kernel/clock.ts";
import type { BackupServiceHandlers } from "../../gen/socle/v1/BackupService.ts";
import type { Operation as ProtoOperation } from "../../gen/socle/v1/Operation.ts";
import type { RestoreDiskRequest__Output } from "../../gen/socle/v1/RestoreDiskRequest.ts";
import { isDone } from "../../state/operations/operation.ts";
import { uploadOf } from "../../vm/images/upload.ts";
import type { ErrorEncoder } from "../convert/errors.ts";
import { operationToProto } from "../convert/operation.ts";
import type { ServiceDependencies } from "./dependencies.ts";
import type { CallContext, Methods } from "./handler.ts";
import { forCaller } from "./tenancy.ts";

const WAIT_MS = 300_000;

/** The first message has the request; the messages' content is read by the operation. */
export const restoreDisk = (
  dependencies: ServiceDependencies,
  errors: ErrorEncoder,
): Methods<BackupServiceHandlers>["RestoreDisk"] =>
  async function* (
    requests,
    { caller, signal }: CallContext,
  ): AsyncGenerator<ProtoOperation, void, undefined> {
    const { images } = dependencies;
    const { vms, operations } = forCaller(dependencies)(caller);
    const messages = requests[Symbol.asyncIterator]();
    const first = await messages.next();
    if (first.done === true)
      throw invalidField("REQUEST_INVALID", "vm", "must be given in the first message");
    const { content, ...request } = first.value;
    // The same for a repeated request, which is the same operation.
    const upload = `${caller.name} ${request.requestId}`;
    const source = uploadOf(request.sizeBytes, contentOf(content, messages), systemClock);
    const forget = images.hold(upload, source);
    try {
      const { behalf } = caller;
      const asked = { ...request, upload, ...(behalf !== undefined && { behalf }) };
      const operation = await vms.begin("RESTORE_DISK", asked, caller.name);
      yield operationToProto(operation, errors, caller);
      let now = operation;
      while (!isDone(now)) now = await operations.wait(operation.id, WAIT_MS, signal);
      yield operationToProto(now, errors, caller);
    } finally {
      forget();
    }
  };

async function* contentOf(
  first: Buffer,
  rest: AsyncIterator<RestoreDiskRequest__Output, unknown>,
): AsyncGenerator<Buffer, void, undefined> {
  if (first.length > 0) yield first;
  for (let next = await rest.next(); next.done !== true; next = await rest.next())
    if (next.value.content.length > 0) yield next.value.content;
}
