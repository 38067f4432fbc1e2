import { fileURLToPath } from "node:url";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { loadSync, type MethodDefinition } from "@grpc/proto-loader";
import { loaderOptions } from "../../agent/gen/loader-options.ts";
import type { EnrollmentServiceDefinition } from "../../agent/gen/socle/v1/EnrollmentService.ts";
import type { OperationServiceDefinition } from "../../agent/gen/socle/v1/OperationService.ts";
import type { SchedulerServiceDefinition } from "../../agent/gen/socle/v1/SchedulerService.ts";
import type { VmServiceDefinition } from "../../agent/gen/socle/v1/VmService.ts";

const files = ["scheduler", "vm", "operation", "enrollment"].map((name) => `socle/v1/${name}.proto`);
const loaded = loadSync(files, {
  ...loaderOptions,
  includeDirs: [fileURLToPath(new URL("../../proto", import.meta.url))],
});

/** The part of the contract for a scheduler. proto-loader returns untyped definitions; the generated types describe them. */
export const schedulerService = named("SchedulerService") as SchedulerServiceDefinition;
export const vmService = named("VmService") as VmServiceDefinition;
export const enrollmentService = named("EnrollmentService") as EnrollmentServiceDefinition;
export const operationService = named("OperationService") as OperationServiceDefinition;

function named(name: string): unknown {
  return loaded[`socle.v1.${name}`];
}

type Method<Request, Response> = Pick<
  MethodDefinition<Request, unknown, unknown, Response>,
  "path" | "requestSerialize" | "responseDeserialize"
>;

/** One unary call to an agent, on a separate connection, with a scheduler's control epoch. */
export function callAgent<Request, Response>(
  address: string,
  method: Method<Request, Response>,
  request: NoInfer<Request>,
  timeoutMs: number,
  controlEpoch = 1,
): Promise<Response> {
  const metadata = epochOf(controlEpoch);
  const client = new Client(address, credentials.createInsecure());
  const call = new Promise<Response>((resolve, reject) => {
    client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      metadata,
      { deadline: Date.now() + timeoutMs },
      (error: ServiceError | null, response?: Response) => {
        if (error !== null) reject(error);
        else if (response !== undefined) resolve(response);
      },
    );
  });
  return call.finally(() => client.close());
}

/** The metadata of a scheduler's commands: a host that accepted a higher epoch refuses them. */
export function epochOf(controlEpoch: number): Metadata {
  const metadata = new Metadata();
  metadata.set("socle-control-epoch", String(controlEpoch));
  return metadata;
}
