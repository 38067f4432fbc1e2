import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request, type IncomingMessage } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import { test } from "node:test";
import { limitConnections } from "../../../agent/http/connections.ts";

test("an address that sends many requests and reads no reply does not keep others out", async (context) => {
  let unanswered = 0;
  const server = createServer((requested, response) => {
    if (requested.url === "/never") unanswered += 1;
    else response.end("answered");
  });
  limitConnections(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const sockets: Socket[] = [];
  context.after(() => {
    sockets.forEach((socket) => socket.destroy());
    server.close();
    server.closeAllConnections();
  });
  for (let at = 0; at < 140; at += 1) {
    const socket = connect({ port, host: "127.0.0.1", localAddress: "127.0.0.2" });
    socket.on("error", () => undefined).resume();
    sockets.push(socket);
    socket.write("GET /never HTTP/1.1\r\nHost: x\r\n\r\n");
    await Promise.race([once(server, "request"), once(socket, "close")]);
  }
  const requested = request({ port, path: "/", localAddress: "127.0.0.3", agent: false }).end();
  const [{ statusCode }] = (await once(requested, "response")) as [IncomingMessage];
  assert.equal(statusCode, 200);
  assert.ok(unanswered > 0, "no request was made");
});
