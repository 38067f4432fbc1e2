import { connect, type TLSSocket } from "node:tls";
import type { Issued } from "../scheduler/authority.ts";
import { secureOptions } from "./attack-calls.ts";
import type { Stage } from "./attack-stage.ts";

/** A TLS connection that negotiated HTTP/2 with an accepted certificate. Nothing is sent on it yet. */
export async function connected(stage: Stage, by: Issued, port = stage.port): Promise<TLSSocket> {
  const socket = connect({
    ...secureOptions(stage.authority.certificatePem, by),
    host: "127.0.0.1",
    port,
    ALPNProtocols: ["h2"],
    checkServerIdentity: () => undefined,
  });
  await new Promise<void>((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
  socket.removeAllListeners("error").on("error", () => undefined);
  return socket;
}
