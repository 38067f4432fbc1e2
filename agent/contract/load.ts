import { readFileSync } from "node:fs";
import { join } from "node:path";
import { loadSync, type MessageTypeDefinition, type PackageDefinition } from "@grpc/proto-loader";
import { loaderOptions } from "../gen/loader-options.ts";
import type { HealthDefinition } from "../gen/grpc/health/v1/Health.ts";
import type { ServerReflectionDefinition } from "../gen/grpc/reflection/v1/ServerReflection.ts";
import type { BadRequest, BadRequest__Output } from "../gen/google/rpc/BadRequest.ts";
import type { ErrorInfo, ErrorInfo__Output } from "../gen/google/rpc/ErrorInfo.ts";
import type { RetryInfo, RetryInfo__Output } from "../gen/google/rpc/RetryInfo.ts";
import type { Status, Status__Output } from "../gen/google/rpc/Status.ts";
import type { AuditServiceDefinition } from "../gen/socle/v1/AuditService.ts";
import type { BackupServiceDefinition } from "../gen/socle/v1/BackupService.ts";
import type { Capacity, Capacity__Output } from "../gen/socle/v1/Capacity.ts";
import type { EnrollmentServiceDefinition } from "../gen/socle/v1/EnrollmentService.ts";
import type { EventServiceDefinition } from "../gen/socle/v1/EventService.ts";
import type { Health, Health__Output } from "../gen/socle/v1/Health.ts";
import type { GuestServiceDefinition } from "../gen/socle/v1/GuestService.ts";
import type { HostServiceDefinition } from "../gen/socle/v1/HostService.ts";
import type { ImageServiceDefinition } from "../gen/socle/v1/ImageService.ts";
import type { Inventory, Inventory__Output } from "../gen/socle/v1/Inventory.ts";
import type { NetworkServiceDefinition } from "../gen/socle/v1/NetworkService.ts";
import type { OperationServiceDefinition } from "../gen/socle/v1/OperationService.ts";
import type { ReservationServiceDefinition } from "../gen/socle/v1/ReservationService.ts";
import type { SchedulerServiceDefinition } from "../gen/socle/v1/SchedulerService.ts";
import type { ScreenServiceDefinition } from "../gen/socle/v1/ScreenService.ts";
import type { SnapshotServiceDefinition } from "../gen/socle/v1/SnapshotService.ts";
import type { StorageServiceDefinition } from "../gen/socle/v1/StorageService.ts";
import type { TrustServiceDefinition } from "../gen/socle/v1/TrustService.ts";
import type { VmServiceDefinition } from "../gen/socle/v1/VmService.ts";

const protoFiles = [
  "socle/v1/audit.proto",
  "socle/v1/backup.proto",
  "socle/v1/enrollment.proto",
  "socle/v1/event.proto",
  "socle/v1/guest.proto",
  "socle/v1/host.proto",
  "socle/v1/image.proto",
  "socle/v1/network.proto",
  "socle/v1/operation.proto",
  "socle/v1/reservation.proto",
  "socle/v1/scheduler.proto",
  "socle/v1/screen.proto",
  "socle/v1/snapshot.proto",
  "socle/v1/storage.proto",
  "socle/v1/vm.proto",
  "google/rpc/error_details.proto",
  "google/rpc/status.proto",
  "grpc/health/v1/health.proto",
  "grpc/reflection/v1/reflection.proto",
];

/** The contract, loaded: each service's methods with their encodings, and the messages that errors are made of. */
export interface Contract {
  readonly audit: AuditServiceDefinition;
  readonly vms: VmServiceDefinition;
  readonly guests: GuestServiceDefinition;
  readonly operations: OperationServiceDefinition;
  readonly host: HostServiceDefinition;
  readonly images: ImageServiceDefinition;
  readonly screens: ScreenServiceDefinition;
  readonly snapshots: SnapshotServiceDefinition;
  readonly backups: BackupServiceDefinition;
  readonly storage: StorageServiceDefinition;
  readonly networks: NetworkServiceDefinition;
  readonly events: EventServiceDefinition;
  readonly reservations: ReservationServiceDefinition;
  readonly scheduler: SchedulerServiceDefinition;
  readonly trust: TrustServiceDefinition;
  readonly enrollment: EnrollmentServiceDefinition;
  readonly health: HealthDefinition;
  readonly reflection: ServerReflectionDefinition;
  /** The large parts of a Host. */
  readonly hostParts: {
    readonly inventory: MessageTypeDefinition<Inventory, Inventory__Output>;
    readonly capacity: MessageTypeDefinition<Capacity, Capacity__Output>;
    readonly health: MessageTypeDefinition<Health, Health__Output>;
  };
  readonly status: MessageTypeDefinition<Status, Status__Output>;
  readonly errorInfo: MessageTypeDefinition<ErrorInfo, ErrorInfo__Output>;
  readonly retryInfo: MessageTypeDefinition<RetryInfo, RetryInfo__Output>;
  readonly badRequest: MessageTypeDefinition<BadRequest, BadRequest__Output>;
  /** The contract as a google.protobuf.FileDescriptorSet, which reflection serves. Made by `buf build`. */
  readonly descriptorSet: Buffer;
}

/** Loads the contract, for servers and clients alike, from the directory that holds `socle/v1`. Throws as the file system or the parser. */
export function loadContract(directory: string): Contract {
  const all = loadSync(protoFiles, { ...loaderOptions, includeDirs: [directory] });
  const message = <Input, Output>(name: string) => named(all, name) as MessageTypeDefinition<Input, Output>;
  return {
    audit: named(all, "socle.v1.AuditService") as AuditServiceDefinition,
    guests: named(all, "socle.v1.GuestService") as GuestServiceDefinition,
    vms: named(all, "socle.v1.VmService") as VmServiceDefinition,
    operations: named(all, "socle.v1.OperationService") as OperationServiceDefinition,
    host: named(all, "socle.v1.HostService") as HostServiceDefinition,
    images: named(all, "socle.v1.ImageService") as ImageServiceDefinition,
    screens: named(all, "socle.v1.ScreenService") as ScreenServiceDefinition,
    snapshots: named(all, "socle.v1.SnapshotService") as SnapshotServiceDefinition,
    backups: named(all, "socle.v1.BackupService") as BackupServiceDefinition,
    storage: named(all, "socle.v1.StorageService") as StorageServiceDefinition,
    networks: named(all, "socle.v1.NetworkService") as NetworkServiceDefinition,
    events: named(all, "socle.v1.EventService") as EventServiceDefinition,
    reservations: named(all, "socle.v1.ReservationService") as ReservationServiceDefinition,
    scheduler: named(all, "socle.v1.SchedulerService") as SchedulerServiceDefinition,
    trust: named(all, "socle.v1.TrustService") as TrustServiceDefinition,
    enrollment: named(all, "socle.v1.EnrollmentService") as EnrollmentServiceDefinition,
    health: named(all, "grpc.health.v1.Health") as HealthDefinition,
    reflection: named(all, "grpc.reflection.v1.ServerReflection") as ServerReflectionDefinition,
    hostParts: {
      inventory: message("socle.v1.Inventory"),
      capacity: message("socle.v1.Capacity"),
      health: message("socle.v1.Health"),
    },
    status: message("google.rpc.Status"),
    errorInfo: message("google.rpc.ErrorInfo"),
    retryInfo: message("google.rpc.RetryInfo"),
    badRequest: message("google.rpc.BadRequest"),
    descriptorSet: readFileSync(join(directory, "contract.binpb")),
  };
}

// proto-loader gives no types: the generated ones are of the same files.
function named(all: PackageDefinition, name: string): unknown {
  const definition = all[name];
  if (definition === undefined) throw new Error(`the contract has no ${name}: are all .proto files there?`);
  return definition;
}
