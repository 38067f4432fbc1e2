import { status } from "@grpc/grpc-js";
import { methods } from "../../agent/contract/methods.ts";
import type { Answer, Caller } from "./attack-calls.ts";
import type { Stage } from "./attack-stage.ts";
import type { Outcome, Theme, Try } from "./attack-runner.ts";

/** Paths that are not served, or that resemble a served one. */
const strangePaths = [
  "/socle.v1.SchedulerService/Session",
  "/socle.v1.EnrollmentService/Enroll",
  "/socle.v1.VmService/Nothing",
  "/socle.v1.vmservice/DeleteVm",
  "/SOCLE.V1.VMSERVICE/DELETEVM",
  "//socle.v1.VmService/DeleteVm",
  "/socle.v1.VmService/DeleteVm/",
  "/socle.v1.VmService/DeleteVm?x=1",
  "/socle.v1.VmService/%44eleteVm",
  "/grpc.health.v1.Health/../../socle.v1.VmService/DeleteVm",
  "/socle.v1.VmService/__proto__",
  "/constructor/constructor",
  "/",
] as const;

/** An allowed stream may stay silent; a denial arrives at once. */
const LET_IN_MS = 250;

/** Each role on each served method: exactly what the table allows is allowed. */
export async function roles(stage: Stage): Promise<Theme> {
  const { authority, provider, run, served } = stage;
  // Each call names a person, so that only the role is tested.
  const metadata = { "socle-person": provider.token() };
  const all = [...new Set(Object.values(methods).flatMap(({ roles }) => roles))].sort();
  const tries: Try[] = [];
  const callers: Caller[] = [];
  const callerOf = async (holder: string): Promise<Caller> => {
    const caller = stage.callerOf(await authority.issue(holder));
    callers.push(caller);
    return caller;
  };
  for (const role of all) {
    const caller = await callerOf(`${role}/somebody`);
    const tenants = await callerOf(`${role}/somebody/tenant/acme`);
    for (const method of served.methods) {
      const { path } = method;
      const { roles: allowedRoles = [], tenancy, socketOnly } = methods[path] ?? {};
      const allowed = allowedRoles.includes(role);
      // By the contract, read-only roles may change nothing.
      const changes = served.request(method).message.field.some(({ name }) => name === "request_id");
      if (changes && allowed && ["viewer", "metrics", "auditor"].includes(role))
        run.violation(`roles: the table lets ${role} change something by ${path}`);
      for (const [who, by, may] of [
        [role, caller, allowed && socketOnly !== true],
        [`${role} of a tenant`, tenants, allowed && tenancy === "own"],
      ] as const) {
        const what = `${who} at ${path}`;
        if (!may)
          tries.push({ what, attack: async () => judge(await by.call(path, Buffer.alloc(0), { metadata })) });
        else if (!isOperatorsOwn(path))
          tries.push({
            what,
            attack: async () =>
              isAllowed(await by.call(path, Buffer.alloc(0), { metadata, timeoutMs: LET_IN_MS })),
          });
      }
    }
    for (const path of strangePaths)
      tries.push({
        what: `${role} at ${path}`,
        attack: async () => judge(await caller.call(path, Buffer.alloc(0))),
      });
  }
  return {
    name: "roles",
    tries,
    check: () => {
      for (const caller of callers) caller.close();
      return Promise.resolve();
    },
  };
}

const isOperatorsOwn = (path: string): boolean => path.endsWith("/SetSchedulingState");

/** Denied by the role, the tenant or as remote, or not found for all callers. */
function judge({ code, reason, message }: Answer): Outcome {
  const isDenied =
    code === status.PERMISSION_DENIED && ["ROLE_DENIED", "TENANT_DENIED", "SOCKET_ONLY"].includes(reason);
  if (isDenied || code === status.UNIMPLEMENTED) return "refused";
  return { letThrough: `answered ${status[code]} ${reason} ${message}` };
}

/** An empty request of an allowed caller: it may fail, but not because of the role. */
function isAllowed({ code, reason }: Answer): Outcome {
  // A tenant, and a scheduler, dump memory into volumes alone.
  if (code === status.PERMISSION_DENIED && !["VM_DENIED", "DUMP_DENIED"].includes(reason))
    throw new Error(`it is denied (${reason}), and the table allows it`);
  return "inert";
}
