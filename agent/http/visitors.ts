import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** Of all who connect, and of one address. */
const mostOpen = 128;
const mostOfOne = 48;

/**
 * Keeps places for those who ask, who prove nothing here: with one connection more than there is room for, the one goes that has
 * asked nothing for the longest time; the new one itself, where all others wait for an answer. Without it, a few silent
 * connections would keep Prometheus out.
 */
export function keepPlaces(server: Server): void {
  const open = new Set<Socket>();
  /** In the order since when. */
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

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/**
 * Nothing is done for a request that was sent ahead before it is its turn: Node tells no answer that waits behind another
 * when their connection is gone, and what was held for it would be held for ever. Who sends more than one ahead is no
 * scraper and no browser.
 */
export function inTurn(answer: Answer): Answer {
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
