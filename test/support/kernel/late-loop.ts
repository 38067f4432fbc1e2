import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import type { TestContext } from "node:test";
import type { Clock } from "../../../agent/kernel/clock.ts";

/** What comes first when the event loop is held until a deadline is over, and an answer has arrived by then. */
export async function orderAtDeadline(
  context: TestContext,
  clock: Pick<Clock, "sleep">,
): Promise<readonly string[]> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  const near = connect(address.port, "127.0.0.1");
  const [far] = (await once(server, "connection")) as [Socket];
  context.after(() => {
    near.destroy();
    server.close();
  });
  const order: string[] = [];
  const answered = once(near, "data").then(() => order.push("answer"));
  const late = clock.sleep(1).then(() => order.push("deadline"));
  far.write("answer");
  const untilMs = performance.now() + 20;
  while (performance.now() < untilMs);
  await Promise.all([answered, late]);
  return order;
}
