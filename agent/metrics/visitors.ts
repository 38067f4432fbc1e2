import type { Server } from "node:http";
import type { Socket } from "node:net";

/** Of all who connect, and of those from one address who ask nothing. */
const mostOpen = 128;
const mostSilentOfOne = 48;

/**
 * Keeps places for those who ask, who prove nothing here: with one connection more than there is room for, the one goes that has
 * asked nothing for the longest time. Without it, a few silent connections would keep Prometheus out.
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
    const own = [...silent].filter(({ remoteAddress }) => remoteAddress === socket.remoteAddress);
    if (own.length > mostSilentOfOne) own[0]?.destroy();
    else if (open.size > mostOpen) [...silent][0]?.destroy();
  });
  server.on("request", ({ socket }, response) => {
    silent.delete(socket);
    response.once("close", () => {
      if (!socket.destroyed) silent.add(socket);
    });
  });
}
