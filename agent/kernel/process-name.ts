import { createServer } from "node:net";

/** A name that one process at a time has. */
export interface ProcessName {
  release(): void;
}

/**
 * Takes the name in the kernel (an abstract unix socket): it is free again when this process has ended, however it ends. It
 * holds across PID and mount namespaces, within one network namespace. Rejects with EADDRINUSE where another has it.
 */
export async function takeProcessName(name: string): Promise<ProcessName> {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(`\0${name}`, resolve);
  });
  server.unref();
  return { release: () => void server.close() };
}
