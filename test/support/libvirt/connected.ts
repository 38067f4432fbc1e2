import type { TestContext } from "node:test";
import { systemClock } from "../../../agent/kernel/clock.ts";
import { Connection, type ConnectionOptions } from "../../../agent/libvirt/rpc/connection.ts";
import { unreachable } from "../../../agent/libvirt/rpc/errors.ts";
import { eventually } from "../wait.ts";
import { FakeDaemon, type Client } from "./fake-daemon.ts";

/** A connection to a fake daemon, for as long as the test runs. */
export async function connected(
  t: TestContext,
  options: Partial<ConnectionOptions> = {},
): Promise<{ daemon: FakeDaemon; connection: Connection; client: Client }> {
  const daemon = await FakeDaemon.start(t);
  const connection = await Connection.open(
    { socketPath: daemon.socketPath, clock: systemClock, maxInFlight: 4, maxQueued: 100, ...options },
    new AbortController().signal,
  );
  t.after(() => connection.close(unreachable("CLOSED", "the test is over")));
  const client = await eventually(() => daemon.clients[0], { what: "the client to arrive" });
  return { daemon, connection, client };
}
