import { SocleError, toSocleError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/log.ts";

/** libvirt's text would tell the VM's tenant of the host. */
export async function beginOverTls(
  { log }: { readonly log: Pick<Logger, "warn"> },
  vmId: string,
  begin: () => Promise<void>,
): Promise<void> {
  try {
    await begin();
  } catch (thrown) {
    const error = toSocleError(thrown);
    if (error.kind !== "internal") throw thrown;
    log.warn({ vm: vmId, err: error }, "QEMU cannot serve a backup by NBD over TLS");
    const message =
      "QEMU could not serve NBD over TLS, for its certificates or the port: the agent's log has the cause, and socle doctor looks at the certificates; repeat the request for another port";
    throw new SocleError("unavailable", "NBD_TLS_FAILED", message, { cause: error });
  }
}

export const nbdNotAllowed = (): SocleError =>
  new SocleError(
    "denied",
    "NBD_TLS_NOT_ALLOWED",
    "callers of one tenant read backups with ReadExtents alone: leave nbd_tls out",
  );

export const noNbd = (): SocleError =>
  new SocleError(
    "conflict",
    "NBD_TLS_NOT_CONFIGURED",
    "this host serves no NBD over TLS: leave nbd_tls out, or set backups.nbdAddress in the agent's configuration",
    { details: { fields: { nbd_tls: "is not configured on this host" } } },
  );
