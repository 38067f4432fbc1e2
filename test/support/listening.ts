import { createServer } from "node:http";
import { connect, type AddressInfo, type Server, type Socket } from "node:net";
import type { TestContext } from "node:test";

/** Listens on loopback, and ends its connections with the test. Returns the port. */
export async function listening(t: TestContext, server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** A proxy that connects each tunnel to `port`, and the targets that it was asked for. */
export async function proxyTo(t: TestContext, port: number): Promise<{ url: string; targets: string[] }> {
  const targets: string[] = [];
  const proxy = createServer().on("connect", ({ url = "" }, client: Socket) => {
    targets.push(url);
    const server = connect(port, "127.0.0.1", () => client.write("HTTP/1.1 200 OK\r\n\r\n"));
    server.on("error", () => undefined);
    client.on("close", () => server.destroy());
    server.pipe(client).pipe(server);
  });
  return { url: `http://127.0.0.1:${await listening(t, proxy)}`, targets };
}
