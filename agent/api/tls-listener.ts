import type { Socket } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import type { Clock } from "../kernel/clock.ts";
import { SocleError, toSocleError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/log.ts";
import { chainOf, peerOf, requireValid, type Peer, type Trust } from "../trust/index.ts";
import { addressOf, type ConnectionLimits } from "./connection-limits.ts";
import { noCaller, type Caller } from "./auth/identity.ts";
import { bind, splitAddress, type Listener } from "./listener.ts";
import { isRole } from "../contract/methods.ts";
import { defined } from "../kernel/defined.ts";

interface TlsListenerOptions {
  readonly trust: Trust;
  readonly places: ConnectionLimits;
  readonly clock: Clock;
  readonly log: Logger;
  /** Takes an authenticated connection. */
  readonly onConnection: (socket: TLSSocket) => void;
}

export interface TlsListener extends Listener {
  /** The caller at `address:port`, by its certificate; undefined without an open connection. */
  callerOf(peer: string): Caller;
}

const handshakeTimeoutMs = 10_000;
/**
 * Bounds of unauthenticated connections, in total and per address: one more closes the oldest, so that silent clients
 * cannot exclude others.
 */
const maxHandshakes = 128;
const maxHandshakesOfOne = 64;

interface Open {
  readonly socket: TLSSocket;
  readonly caller: Caller;
  readonly peer: Peer;
}

/**
 * Listens for TLS 1.3 connections whose certificate is issued by an authority of the trust directory, is not revoked, and
 * names an identity with a role. New certificates and lists apply to the next connection, and open ones continue; one whose
 * certificate is revoked or expires is closed. Throws as listener.ts.
 */
export async function listenOnTls(address: string, options: TlsListenerOptions): Promise<TlsListener> {
  const { trust, places, clock } = options;
  const open = new Map<string, Open>();
  const handshakes = new Map<string, Socket>();
  const server = createServer({
    ...trust.material?.tls,
    minVersion: "TLSv1.3",
    requestCert: true,
    rejectUnauthorized: true,
    ALPNProtocols: ["h2"],
    handshakeTimeout: handshakeTimeoutMs,
    noDelay: true,
  });
  server.on("connection", (socket: Socket) => {
    const place = addressOf(socket);
    socket.on("error", () => undefined);
    socket.once("close", () => {
      if (handshakes.get(place) === socket) handshakes.delete(place);
    });
    handshakes.set(place, socket);
    const own = [...handshakes.values()].filter(
      ({ remoteAddress }) => remoteAddress === socket.remoteAddress,
    );
    if (own.length > maxHandshakesOfOne) own[0]?.destroy();
    const [oldest] = handshakes.values();
    if (handshakes.size > maxHandshakes) oldest?.destroy();
  });
  server.on("secureConnection", (socket) => {
    const place = addressOf(socket);
    handshakes.delete(place);
    socket.on("error", () => undefined);
    let caller: Caller | undefined;
    try {
      const { material } = trust;
      const certificate = socket.getPeerX509Certificate();
      if (material === undefined || certificate === undefined)
        throw handshakeFailed(new Error("no certificate"));
      const chain = chainOf(
        certificate,
        (each) => each,
        (each) => each.issuerCertificate,
      );
      const peer = peerOf(chain, material, clock.now());
      caller = callerFrom(peer);
      places.take(socket, caller);
      open.set(place, { socket, caller, peer });
      socket.once("close", () => {
        if (open.get(place)?.socket === socket) open.delete(place);
      });
      options.onConnection(socket);
    } catch (thrown) {
      places.refuse(socket, thrown, caller);
    }
  });
  server.on("tlsClientError", (cause, socket) => places.refuse(socket, handshakeFailed(cause)));
  const over = new AbortController();
  void followTrust(server, open, options, over.signal);
  try {
    const { port } = await bind(server, address, splitAddress(address));
    return {
      port,
      close() {
        over.abort();
        server.close();
        for (const socket of handshakes.values()) socket.destroy();
      },
      callerOf: (peer) => open.get(peer)?.caller ?? noCaller,
    };
  } catch (thrown) {
    over.abort();
    throw thrown;
  }
}

/** Applies new certificates to new connections; closes those that are no longer valid. */
async function followTrust(
  server: Server,
  open: ReadonlyMap<string, Open>,
  { trust, clock, log }: TlsListenerOptions,
  signal: AbortSignal,
): Promise<void> {
  let inUse = trust.material;
  for await (const _change of trust.subscribe(signal)) {
    const { material } = trust;
    if (material === undefined) continue;
    if (material !== inUse) server.setSecureContext(material.tls);
    inUse = material;
    for (const { socket, peer } of open.values()) {
      try {
        requireValid(peer, material, clock.now());
      } catch (thrown) {
        const { reason, message } = toSocleError(thrown);
        log.warn({ peer: addressOf(socket), reason }, `a connection is closed: ${message}`);
        socket.destroy();
      }
    }
  }
}

function callerFrom({ identity, serial }: Peer): Caller {
  const { uri, role, tenant } = identity;
  if (!isRole(role))
    throw new SocleError("denied", "CERTIFICATE_ROLE", `${uri} has no role that may call a host's agent`);
  return defined({ name: uri, role, certificateSerial: serial, tenant });
}

const handshakeFailed = (cause: Error): SocleError =>
  new SocleError("denied", "TLS_HANDSHAKE_FAILED", cause.message, { cause });
