import type { Method } from "../../contract/methods.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { Caller } from "./identity.ts";

const OVER_SOCKET = "run socle on the host, over the agent's unix socket";

/**
 * Throws `denied` with ROLE_DENIED, SOCKET_ONLY or TENANT_DENIED when the caller may not call the method. `isLocal`: the
 * call arrived over the host's own unix socket.
 */
export function authorize(
  { role, tenant }: Pick<Caller, "role" | "tenant">,
  path: string,
  { roles, tenancy, socketOnly = false }: Pick<Method, "roles" | "tenancy" | "socketOnly">,
  isLocal: boolean,
): void {
  if (role === "none" || !roles.includes(role)) {
    const others = roles.length === 0 ? "" : `, but ${roles.join(", ")} may`;
    const message = `the role ${role} may not call ${path}${socketOnly ? `; ${OVER_SOCKET}` : others}`;
    throw new SocleError("denied", "ROLE_DENIED", message, { details: { metadata: { role, method: path } } });
  }
  if (socketOnly && !isLocal)
    throw new SocleError(
      "denied",
      "SOCKET_ONLY",
      `${path} is for an administrator on the host: ${OVER_SOCKET}`,
    );
  if (tenant !== undefined && tenancy === "denied")
    throw new SocleError(
      "denied",
      "TENANT_DENIED",
      `${path} exposes all tenants; your certificate is restricted to ${tenant}`,
    );
}
