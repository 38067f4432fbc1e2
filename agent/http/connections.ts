import type { IncomingMessage, RequestListener, Server } from "node:http";
import type { Socket } from "node:net";

/** Connections in total, and from one address. */
const mostOpen = 128;
const mostOfOne = 48;

/**
 * Bounds unauthenticated connections: one more closes the connection that has been idle longest, or the new one if all others
 * wait for an answer. Otherwise a few silent connections would exclude Prometheus.
 */
export function limitConnections(server: Server): void {
  const open = new Set<Socket>();
  /** In order of their last activity. */
  const silent = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    open.add(socket);
    silent.add(socket);
    socket.once("close", () => {
      open.delete(socket);
      silent.delete(socket);
    });
    const isOfOne = ({ remoteAddress }: Socket): boolean => remoteAddress === socket.remoteAddress;
    if ([...open].filter(isOfOne).length > mostOfOne) [...silent].find(isOfOne)?.destroy();
    else if (open.size > mostOpen) [...silent][0]?.destroy();
  });
  server.on("request", ({ socket }, response) => {
    silent.delete(socket);
    response.once("close", () => {
      if (!socket.destroyed) silent.add(socket);
    });
  });
}

/**
 * Delays a pipelined request until its turn: Node does not report a lost connection to a queued answer, whose resources
 * would be held forever. Scrapers and browsers pipeline at most one request.
 */
export function oneAtATime(answer: RequestListener): RequestListener {
  const withOneAhead = new WeakSet<Socket>();
  return (request, response) => {
    const { socket } = request;
    if (response.socket !== null) answer(request, response);
    else if (withOneAhead.has(socket)) socket.destroy();
    else {
      withOneAhead.add(socket);
      response.once("socket", () => {
        withOneAhead.delete(socket);
        answer(request, response);
      });
    }
  };
}

/** By address: clients are not authenticated. */
export const clientOf = ({ socket }: IncomingMessage): string => socket.remoteAddress ?? "";
