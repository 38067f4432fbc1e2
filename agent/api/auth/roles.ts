/** Who may call what. A caller has exactly one role. */
const everyone = ["viewer", "metrics", "scheduler", "operator", "auditor", "admin"] as const;
export type Role = (typeof everyone)[number];

export const isRole = (name: string): name is Role => (everyone as readonly string[]).includes(name);

const readers: readonly Role[] = ["viewer", "scheduler", "operator", "auditor", "admin"];
const movers: readonly Role[] = ["scheduler", "operator", "admin"];
const operators: readonly Role[] = ["operator", "admin"];

/** Full method name to the roles that may call it. What does not stand here is denied to all. */
export const rolesOfMethod: Readonly<Record<string, readonly Role[]>> = {
  "/socle.v1.VmService/CreateVm": movers,
  "/socle.v1.VmService/GetVm": readers,
  "/socle.v1.VmService/ListVms": readers,
  "/socle.v1.VmService/WatchVms": readers,
  "/socle.v1.VmService/StartVm": movers,
  "/socle.v1.VmService/StopVm": movers,
  "/socle.v1.VmService/RebootVm": movers,
  "/socle.v1.VmService/PauseVm": movers,
  "/socle.v1.VmService/ResumeVm": movers,
  "/socle.v1.VmService/DeleteVm": movers,
  "/socle.v1.VmService/Console": movers,
  "/socle.v1.OperationService/GetOperation": readers,
  "/socle.v1.OperationService/ListOperations": readers,
  "/socle.v1.OperationService/WaitOperation": readers,
  "/socle.v1.OperationService/CancelOperation": movers,
  "/socle.v1.OperationService/SettleOperation": operators,
  "/socle.v1.OperationService/WatchOperations": readers,
  "/socle.v1.HostService/GetHost": readers,
  "/socle.v1.HostService/WatchHost": readers,
  "/socle.v1.HostService/ListTenants": readers,
  // An operator's word about the host, which a scheduler must not take back.
  "/socle.v1.HostService/SetSchedulingState": operators,
  "/socle.v1.HostService/AcknowledgeCondition": operators,
  "/socle.v1.HostService/ResetControlEpoch": operators,
  "/socle.v1.ReservationService/Reserve": movers,
  "/socle.v1.ReservationService/RenewReservation": movers,
  "/socle.v1.ReservationService/ReleaseReservation": movers,
  "/socle.v1.ReservationService/GetReservation": readers,
  "/socle.v1.ReservationService/ListReservations": readers,
  "/socle.v1.EventService/Subscribe": readers,
  "/socle.v1.TrustService/GetTrust": readers,
  "/socle.v1.TrustService/EnrollHost": operators,
  // Nobody judges his own acts: who may change something reads no audit log, and the other way round.
  "/socle.v1.AuditService/ListAuditEntries": ["auditor"],
  "/socle.v1.AuditService/SignCheckpoint": ["auditor"],
  "/grpc.health.v1.Health/Check": everyone,
  "/grpc.health.v1.Health/Watch": everyone,
  "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": everyone,
};

/** What somebody who has to do with one tenant alone may call, of what the role may: the rest tells of all. */
export const tenantMethods: ReadonlySet<string> = new Set(
  Object.keys(rolesOfMethod).filter((path) =>
    /^\/(socle\.v1\.((VmService|OperationService)\/(?!Settle)|AuditService\/List)|grpc\.health\.v1\.Health\/)/.test(
      path,
    ),
  ),
);

/** Only for an administrator on the host, by its unix socket: they change whom the host obeys, or what it takes for true. */
export const socketMethods: ReadonlySet<string> = new Set([
  "/socle.v1.OperationService/SettleOperation",
  "/socle.v1.HostService/ResetControlEpoch",
  "/socle.v1.TrustService/EnrollHost",
]);
