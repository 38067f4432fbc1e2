const allRoles = ["viewer", "metrics", "scheduler", "operator", "auditor", "admin"] as const;

/** A caller has exactly one role. */
export type Role = (typeof allRoles)[number];

export const isRole = (name: string): name is Role => (allRoles as readonly string[]).includes(name);

/** Each class has its own rate and its own number of calls in flight, so that no class starves another. */
export type CallClass =
  /** Answered from memory. */
  | "read"
  /** Open until an operation ends, or a guest answers. */
  | "wait"
  | "mutation"
  /** Open as long as the caller wants; also a call that reads the disk. */
  | "stream"
  /** Health checks, and mutations that relieve the host or are an operator's decision. */
  | "control";

/** All that the agent knows about a method beside its messages. */
export interface Method {
  /** The roles that may call it. */
  readonly roles: readonly Role[];
  /**
   * `own`: a caller of one tenant sees and changes its own tenant's objects alone. `denied`: it exposes all tenants, so a
   * caller of one tenant may not call it.
   */
  readonly tenancy: "own" | "denied";
  readonly class: CallClass;
  /**
   * Present for a method that changes something: the request's fields that the audit log records, besides VM, tenant and
   * request id. Labels, command lines, tokens and console input may hold secrets and are never listed.
   */
  readonly audit?: readonly string[];
  /** Only over the unix socket: it changes whom the host obeys, or what it takes for true. */
  readonly socketOnly?: boolean;
}

const readers: readonly Role[] = ["viewer", "scheduler", "operator", "auditor", "admin"];
const movers: readonly Role[] = ["scheduler", "operator", "admin"];
const operators: readonly Role[] = ["operator", "admin"];

const vms = { roles: movers, tenancy: "own", class: "mutation" } as const;
const vmReads = { roles: readers, tenancy: "own" } as const;
const hostReads = { roles: readers, tenancy: "denied" } as const;
// A scheduler must not take back what an operator decided about the host.
const hostChanges = { roles: operators, tenancy: "denied", class: "control" } as const;
// Only on the socket: decided outcomes, the control epoch and the enrollment.
const socketChanges = { ...hostChanges, socketOnly: true } as const;
// A guest that hangs holds its caller's place until the deadline.
const guests = { roles: movers, tenancy: "own", class: "wait" } as const;
const reservations = { roles: movers, tenancy: "denied", class: "mutation" } as const;
// Separation of duties: roles that change something cannot read the audit log, and the reverse.
const auditors: readonly Role[] = ["auditor"];

const nicLimits = ["limits.inboundBytesPerSecond", "limits.outboundBytesPerSecond"];
const diskLimits = [
  ...["BytesPerSecond", "Iops", "BurstBytesPerSecond", "BurstIops"].flatMap((limit) =>
    ["total", "read", "write"].map((direction) => `limits.${direction}${limit}`),
  ),
  "limits.burstSeconds",
];
/** Of every change of a VM that can be validated alone. */
const change = ["validateOnly"];
const creation = [
  "spec.name",
  "spec.vcpus",
  "spec.memoryBytes",
  "spec.disks.length",
  "spec.nics.length",
  "leaveStopped",
  "validateOnly",
  "placementEpoch",
  "reservationId",
];

/** One row per method, by its full name. A method without a row is denied to every caller. */
export const methods: Readonly<Record<string, Method>> = {
  "/socle.v1.VmService/CreateVm": { ...vms, audit: creation },
  "/socle.v1.VmService/GetVm": { ...vmReads, class: "read" },
  "/socle.v1.VmService/ListVms": { ...vmReads, class: "read" },
  "/socle.v1.VmService/WatchVms": { ...vmReads, class: "stream" },
  "/socle.v1.VmService/StartVm": { ...vms, audit: ["placementEpoch"] },
  "/socle.v1.VmService/StopVm": { ...vms, class: "control", audit: ["force", "gracefulTimeout.seconds"] },
  "/socle.v1.VmService/RebootVm": { ...vms, audit: ["force"] },
  "/socle.v1.VmService/PauseVm": { ...vms, audit: [] },
  "/socle.v1.VmService/ResumeVm": { ...vms, audit: [] },
  "/socle.v1.VmService/DeleteVm": { ...vms, audit: ["keepDisks", "eraseDisks", "force"] },
  "/socle.v1.VmService/UpdateVm": { ...vms, audit: ["updateMask.paths", ...change] },
  "/socle.v1.VmService/AttachDisk": { ...vms, audit: ["disk.name", ...change] },
  "/socle.v1.VmService/DetachDisk": { ...vms, audit: ["disk", "deleteVolume", ...change] },
  "/socle.v1.VmService/ResizeDisk": { ...vms, audit: ["disk", "capacityBytes", ...change] },
  "/socle.v1.VmService/UpdateDisk": { ...vms, audit: ["disk", ...diskLimits, ...change] },
  "/socle.v1.VmService/AttachNic": {
    ...vms,
    audit: ["nic.name", "nic.network", "nic.bridge", "nic.mac", "nic.allowSpoofing", ...change],
  },
  "/socle.v1.VmService/DetachNic": { ...vms, audit: ["nic", ...change] },
  "/socle.v1.VmService/UpdateNic": { ...vms, audit: ["nic", "linkState", ...nicLimits, ...change] },
  "/socle.v1.VmService/AttachPciDevice": { ...vms, audit: ["device", ...change] },
  "/socle.v1.VmService/DetachPciDevice": { ...vms, audit: ["device", ...change] },
  "/socle.v1.VmService/SuspendVm": { ...vms, audit: [] },
  "/socle.v1.VmService/DiscardSavedState": { ...vms, audit: [] },
  "/socle.v1.VmService/InjectNmi": { ...vms, audit: [] },
  "/socle.v1.VmService/Console": { ...vms, class: "stream", audit: ["force"] },
  "/socle.v1.VmService/ChangeMedia": {
    ...vms,
    audit: ["disk", "volume.pool", "volume.volume", "image", "force", ...change],
  },
  "/socle.v1.VmService/MoveDisk": { ...vms, audit: ["disk", "pool", ...change] },
  "/socle.v1.VmService/RescueVm": {
    ...vms,
    audit: ["image", "volume.pool", "volume.volume", "force", "gracefulTimeout.seconds", ...change],
  },
  "/socle.v1.VmService/UnrescueVm": { ...vms, audit: ["force", "gracefulTimeout.seconds", ...change] },
  "/socle.v1.VmService/ChangeSeed": { ...vms, audit: ["updateMask.paths", "newInstanceId", ...change] },
  // It holds secrets of the guest: without a volume only for the provider's operators (vm-service.ts).
  "/socle.v1.VmService/DumpMemory": {
    ...vms,
    audit: ["format", "allowEncrypted", "volume.pool", "volume.name", ...change],
  },
  // The URL may hold credentials.
  "/socle.v1.ImageService/ImportImage": {
    ...vms,
    audit: ["name", "sha256", "format", "pool", "volume.pool", "volume.volume"],
  },
  "/socle.v1.ImageService/UploadImage": {
    ...vms,
    class: "stream",
    audit: ["name", "sha256", "format", "pool", "sizeBytes"],
  },
  "/socle.v1.ImageService/GetImage": { ...vmReads, class: "read" },
  "/socle.v1.ImageService/ListImages": { ...vmReads, class: "read" },
  "/socle.v1.ImageService/DeleteImage": { ...vms, audit: ["image"] },
  "/socle.v1.SnapshotService/CreateSnapshot": { ...vms, audit: ["name", "quiesce", "memory", ...change] },
  "/socle.v1.SnapshotService/GetSnapshot": { ...vmReads, class: "read" },
  "/socle.v1.SnapshotService/ListSnapshots": { ...vmReads, class: "read" },
  "/socle.v1.SnapshotService/DeleteSnapshot": { ...vms, audit: ["snapshot", ...change] },
  "/socle.v1.SnapshotService/RevertSnapshot": {
    ...vms,
    audit: ["snapshot", "force", "discardMemory", ...change],
  },
  // A ticket is worth what it opens, so all three are audited.
  "/socle.v1.ScreenService/CreateScreenTicket": { ...vms, audit: [] },
  "/socle.v1.ScreenService/OpenScreen": { ...vms, class: "stream", audit: [] },
  "/socle.v1.ScreenService/GetScreenshot": { ...vms, class: "stream", audit: ["screen"] },
  "/socle.v1.BackupService/BeginBackup": {
    ...vms,
    audit: ["disks.length", "baseBackup", "quiesce", "nbdTls", "allowEncrypted", ...change],
  },
  "/socle.v1.BackupService/GetBackup": { ...vmReads, class: "read" },
  "/socle.v1.BackupService/ListBackups": { ...vmReads, class: "read" },
  "/socle.v1.BackupService/RenewBackup": { ...vms, audit: ["backupId", "leaseSeconds"] },
  // The data of a guest: as a console, not for every role that reads.
  "/socle.v1.BackupService/ListExtents": { ...vms, class: "stream", audit: ["backupId", "disk"] },
  "/socle.v1.BackupService/ReadExtents": { ...vms, class: "stream", audit: ["backupId", "disk"] },
  "/socle.v1.BackupService/FinishBackup": { ...vms, audit: ["backupId", "success"] },
  "/socle.v1.BackupService/RestoreDisk": { ...vms, class: "stream", audit: ["disk", "sha256", "sizeBytes"] },
  "/socle.v1.GuestService/GetGuestInfo": { ...vmReads, class: "wait" },
  "/socle.v1.GuestService/SetGuestPassword": { ...guests, audit: ["user", "hashed"] },
  "/socle.v1.GuestService/SetGuestSshKeys": { ...guests, audit: ["user", "keys.length", "replace"] },
  "/socle.v1.GuestService/TrimGuest": { ...guests, audit: [] },
  "/socle.v1.GuestService/SyncGuestTime": { ...guests, audit: [] },
  "/socle.v1.GuestService/FreezeFilesystems": { ...guests, audit: ["timeout.seconds"] },
  "/socle.v1.GuestService/ThawFilesystems": { ...guests, audit: [] },
  "/socle.v1.GuestService/ExecInGuest": { ...guests, roles: operators, audit: ["path"] },
  "/socle.v1.OperationService/GetOperation": { ...vmReads, class: "read" },
  "/socle.v1.OperationService/ListOperations": { ...vmReads, class: "read" },
  "/socle.v1.OperationService/WaitOperation": { ...vmReads, class: "wait" },
  "/socle.v1.OperationService/WatchOperations": { ...vmReads, class: "stream" },
  "/socle.v1.OperationService/CancelOperation": { ...vms, class: "control", audit: ["operationId"] },
  "/socle.v1.OperationService/SettleOperation": { ...socketChanges, audit: ["operationId", "outcome"] },
  "/socle.v1.HostService/GetHost": { ...hostReads, class: "read" },
  "/socle.v1.HostService/WatchHost": { ...hostReads, class: "stream" },
  "/socle.v1.HostService/ListTenants": { ...hostReads, class: "read" },
  "/socle.v1.HostService/SetSchedulingState": { ...hostChanges, audit: ["state", "reason"] },
  "/socle.v1.HostService/AcknowledgeCondition": { ...hostChanges, audit: ["type"] },
  "/socle.v1.HostService/ResetControlEpoch": { ...socketChanges, audit: ["controlEpoch"] },
  "/socle.v1.ReservationService/Reserve": { ...reservations, audit: ["vcpus", "memoryBytes", "ttl.seconds"] },
  "/socle.v1.ReservationService/RenewReservation": {
    ...reservations,
    audit: ["reservationId", "ttl.seconds"],
  },
  "/socle.v1.ReservationService/ReleaseReservation": {
    ...reservations,
    class: "control",
    audit: ["reservationId"],
  },
  "/socle.v1.ReservationService/GetReservation": { ...hostReads, class: "read" },
  "/socle.v1.ReservationService/ListReservations": { ...hostReads, class: "read" },
  "/socle.v1.StorageService/ListPools": { ...vmReads, class: "read" },
  "/socle.v1.StorageService/ListVolumes": { ...vmReads, class: "read" },
  "/socle.v1.StorageService/CreateVolume": {
    ...vms,
    audit: ["pool", "name", "format", "capacityBytes", ...change],
  },
  "/socle.v1.StorageService/ResizeVolume": { ...vms, audit: ["pool", "volume", "capacityBytes", ...change] },
  "/socle.v1.StorageService/DeleteVolume": { ...vms, audit: ["pool", "volume", "erase", ...change] },
  "/socle.v1.NetworkService/ListNetworks": { ...vmReads, class: "read" },
  "/socle.v1.EventService/Subscribe": { ...hostReads, class: "stream" },
  "/socle.v1.TrustService/GetTrust": { ...hostReads, class: "read" },
  "/socle.v1.TrustService/EnrollHost": {
    ...socketChanges,
    class: "mutation",
    audit: ["address", "authorityFingerprint"],
  },
  // It reads the disk: as few at a time as streams.
  "/socle.v1.AuditService/ListAuditEntries": { roles: auditors, tenancy: "own", class: "stream" },
  "/socle.v1.AuditService/SignCheckpoint": {
    roles: auditors,
    tenancy: "denied",
    class: "mutation",
    audit: [],
  },
  "/grpc.health.v1.Health/Check": { roles: allRoles, tenancy: "own", class: "control" },
  "/grpc.health.v1.Health/Watch": { roles: allRoles, tenancy: "own", class: "stream" },
  "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": {
    roles: allRoles,
    tenancy: "denied",
    class: "stream",
  },
};
