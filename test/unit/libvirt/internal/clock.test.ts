import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { systemClock as agentClock } from "../../../../agent/kernel/clock.ts";
import { systemClock as clientClock } from "../../../../agent/libvirt/internal/clock.ts";

for (const [owner, clock] of Object.entries({ agent: agentClock, client: clientClock }))
  test(`an answer that has arrived comes before its deadline, however late the event loop is: ${owner}`, async (context) => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    assert.ok(address !== null && typeof address === "object");
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
    // The event loop is held until the deadline is over.
    const untilMs = performance.now() + 20;
    while (performance.now() < untilMs);
    await Promise.all([answered, late]);
    assert.deepEqual(order, ["answer", "deadline"]);
  });
