import { once } from "node:events";
import { connect, createServer } from "node:net";

/**
 * Prevents a second demonstration on this machine until this process ends: both would use the same VM and pool of the same
 * libvirt. The name is an abstract socket's, which vanishes with the process. Throws in a second process.
 */
export async function claimSingleRun(name = "socle-demonstration"): Promise<{ leave(): void }> {
  const path = `\0${name}`;
  const server = createServer((asker) => asker.on("error", () => undefined).end(String(process.pid)));
  server.listen({ path });
  try {
    await once(server, "listening");
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "EADDRINUSE") throw thrown;
    const message = `another ./scripts/run is running on this machine (${await holderOf(path)}); wait for its end, or end it`;
    throw new Error(message, { cause: thrown });
  }
  server.unref();
  return { leave: () => void server.close() };
}

async function holderOf(path: string): Promise<string> {
  const socket = connect({ path })
    .setEncoding("utf8")
    .setTimeout(2000, () => socket.destroy());
  let pid = "";
  try {
    for await (const text of socket) pid += String(text);
  } catch {
    // It has just ended, or does not reply.
  }
  return pid === "" ? "whose process is unknown" : `process ${pid}`;
}
