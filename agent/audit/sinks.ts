import { connect as connectPlain, isIP, type Socket } from "node:net";
import {
  checkServerIdentity,
  connect as connectTls,
  type ConnectionOptions,
  type PeerCertificate,
} from "node:tls";
import type { Sink } from "./forwarder.ts";
import type { TailEntry } from "./tail.ts";
import { abortable } from "../kernel/clock.ts";
import { ifExists } from "../kernel/thrown.ts";

/** With the entry's text as it was hashed, so that receivers can verify the chain. */
const messageOf = ({ hash, json }: TailEntry): string => `{"hash":"${hash}","entry":${json}}`;

const isRefusal = ({ entry: { outcome } }: TailEntry): boolean =>
  outcome === "denied" || outcome === "refused" || outcome === "failed";

/** systemd's journal, for `journalctl -t socle-audit`: by its stream socket, like systemd-cat(1). */
export function journalSink(path = "/run/systemd/journal/stdout"): Sink {
  return {
    name: "journal",
    async connect(signal) {
      const socket = await ifExists(connected(connectPlain({ path }), "connect", signal));
      // Identifier, unit, priority, whether lines have their own, and three other destinations.
      socket?.write("socle-audit\n\n5\n1\n0\n0\n0\n");
      return socket;
    },
    frame: (entry) => `<${isRefusal(entry) ? 4 : 5}>${messageOf(entry)}\n`,
  };
}

/** RFC 5424, 6.2.1: log audit. */
const facility = 13;

/** A collector of syslog over TLS (RFC 5425). `tls` is read at each contact. */
export function syslogSink(
  address: { readonly host: string; readonly port: number },
  hostname: string,
  tls: () => Promise<ConnectionOptions>,
  isRevoked: (serial: string) => boolean,
): Sink {
  const identityProblem = (name: string, certificate: PeerCertificate): Error | undefined =>
    isRevoked(certificate.serialNumber)
      ? new Error(`the certificate ${certificate.serialNumber} is revoked`)
      : checkServerIdentity(name, certificate);
  return {
    name: "syslog",
    async connect(signal) {
      const { host, port } = address;
      // An IP address cannot be a server name (RFC 6066, 3); the certificate must still have it.
      const name = isIP(host) === 0 ? { servername: host } : {};
      const socket = connectTls({
        host,
        port,
        minVersion: "TLSv1.2",
        ...name,
        checkServerIdentity: identityProblem,
        ...(await tls()),
      });
      return await connected(socket, "secureConnect", signal);
    },
    frame(entry) {
      const severity = isRefusal(entry) ? 4 : 5;
      const { time, act } = entry.entry;
      const head = `<${facility * 8 + severity}>1 ${time} ${hostname} socle-agent ${process.pid} ${act} - `;
      const message = `${head}${messageOf(entry)}`;
      // Octets: an entry is ASCII.
      return `${message.length} ${message}`;
    },
  };
}

function connected(socket: Socket, event: "connect" | "secureConnect", signal: AbortSignal): Promise<Socket> {
  if (signal.aborted) socket.destroy();
  return abortable(signal, (resolve, reject) => {
    // A socket with an error destroys itself.
    socket.once("error", reject);
    socket.once(event, () => {
      socket.off("error", reject);
      resolve(socket);
    });
    return () => socket.destroy();
  });
}
