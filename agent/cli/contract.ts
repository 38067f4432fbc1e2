import type { MessageTypeDefinition, PackageDefinition } from "@grpc/proto-loader";
import type { BadRequest, BadRequest__Output } from "../gen/google/rpc/BadRequest.ts";
import type { ErrorInfo, ErrorInfo__Output } from "../gen/google/rpc/ErrorInfo.ts";
import type { RetryInfo, RetryInfo__Output } from "../gen/google/rpc/RetryInfo.ts";
import type { Status, Status__Output } from "../gen/google/rpc/Status.ts";
import { loaderOptions } from "../gen/loader-options.ts";
import type { EventServiceDefinition } from "../gen/socle/v1/EventService.ts";
import type { HostServiceDefinition } from "../gen/socle/v1/HostService.ts";
import type { OperationServiceDefinition } from "../gen/socle/v1/OperationService.ts";
import type { TrustServiceDefinition } from "../gen/socle/v1/TrustService.ts";
import type { ReservationServiceDefinition } from "../gen/socle/v1/ReservationService.ts";
import type { VmServiceDefinition } from "../gen/socle/v1/VmService.ts";

const files = [
  "socle/v1/enrollment.proto",
  "socle/v1/event.proto",
  "socle/v1/host.proto",
  "socle/v1/operation.proto",
  "socle/v1/reservation.proto",
  "socle/v1/vm.proto",
  "google/rpc/error_details.proto",
  "google/rpc/status.proto",
];

/** What a client of the agent needs of the contract. */
export interface Contract {
  readonly vms: VmServiceDefinition;
  readonly host: HostServiceDefinition;
  readonly operations: OperationServiceDefinition;
  readonly events: EventServiceDefinition;
  readonly trust: TrustServiceDefinition;
  readonly reservations: ReservationServiceDefinition;
  readonly status: MessageTypeDefinition<Status, Status__Output>;
  readonly errorInfo: MessageTypeDefinition<ErrorInfo, ErrorInfo__Output>;
  readonly retryInfo: MessageTypeDefinition<RetryInfo, RetryInfo__Output>;
  readonly badRequest: MessageTypeDefinition<BadRequest, BadRequest__Output>;
}

/** Reads the contract from the directory that holds `socle/v1`. */
export async function loadContract(directory: string): Promise<Contract> {
  const { load } = await import("@grpc/proto-loader");
  const all: PackageDefinition = await load(files, { ...loaderOptions, includeDirs: [directory] });
  return {
    vms: named(all, "socle.v1.VmService") as VmServiceDefinition,
    host: named(all, "socle.v1.HostService") as HostServiceDefinition,
    operations: named(all, "socle.v1.OperationService") as OperationServiceDefinition,
    events: named(all, "socle.v1.EventService") as EventServiceDefinition,
    trust: named(all, "socle.v1.TrustService") as TrustServiceDefinition,
    reservations: named(all, "socle.v1.ReservationService") as ReservationServiceDefinition,
    status: named(all, "google.rpc.Status") as Contract["status"],
    errorInfo: named(all, "google.rpc.ErrorInfo") as Contract["errorInfo"],
    retryInfo: named(all, "google.rpc.RetryInfo") as Contract["retryInfo"],
    badRequest: named(all, "google.rpc.BadRequest") as Contract["badRequest"],
  };
}

/** proto-loader only knows that something has this name; the generated types are of the same files. */
function named(all: PackageDefinition, name: string): unknown {
  return all[name];
}
