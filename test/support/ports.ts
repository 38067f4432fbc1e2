import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { codeOf } from "../../agent/kernel/thrown.ts";

/** Below those that Linux gives to connections (net.ipv4.ip_local_port_range): none of them takes it meanwhile. */
const [FIRST, END] = [20_000, 32_768];
const given = new Set<number>();

/** A TCP port of 127.0.0.1 without a listener at this moment, and another one each time. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST, END);
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch (thrown) {
    if (codeOf(thrown) === "EADDRINUSE") return false;
    throw thrown;
  }
  server.close();
  await once(server, "close");
  return true;
}
