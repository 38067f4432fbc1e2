import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as p from "../../../../agent/libvirt/protocol/index.ts";
import { connect, dom, reason, replyHostname } from "../../../support/libvirt/client-stage.ts";
import { FakeDaemon, type Received } from "../../../support/libvirt/fake-daemon.ts";
import { eventually } from "../../../support/wait.ts";

describe("a pinned session", () => {
  it("keeps its one connection, however many of its calls are cancelled", async (t) => {
    const daemon = await FakeDaemon.start(t);
    const libvirt = await connect(t, daemon);
    daemon.on(p.connectGetHostname, (call) => replyHostname(call));
    await using session = await libvirt.pin();
    const own = daemon.clients.at(-1);
    const given = Array.from({ length: 3 }, () =>
      session.call(p.domainManagedSave, { dom, flags: 0 }, { timeoutMs: 20 }).catch(reason),
    );
    assert.deepEqual(await Promise.all(given), Array(3).fill("outcome_unknown LIBVIRT_OUTCOME_UNKNOWN"));
    // A lane would have been replaced by now. The last place is for urgent calls.
    const { hostname } = await session.call(p.connectGetHostname, {}, { urgent: true });
    assert.equal(hostname, "host");
    assert.equal(own?.callsOf(p.connectGetHostname.number).length, 1);
    assert.equal(daemon.clients.length, 4);
    assert.equal(daemon.open.length, 4);
  });

  it("ends by close, with its calls", async (t) => {
    const daemon = await FakeDaemon.start(t);
    const libvirt = await connect(t, daemon);
    const session = await libvirt.pin();
    const calls: Received[] = [];
    daemon.on(p.domainManagedSave, (call) => calls.push(call));
    const change = session.call(p.domainManagedSave, { dom, flags: 0 }).catch(reason);
    await eventually(() => calls.length === 1);
    session.close();
    assert.equal(await change, "outcome_unknown LIBVIRT_OUTCOME_UNKNOWN");
    assert.equal((await session.closed).reason, "LIBVIRT_CLOSED");
    assert.equal(await session.call(p.connectGetHostname, {}).catch(reason), "unavailable LIBVIRT_CLOSED");
    await eventually(() => daemon.open.length === 3, { what: "its connection to close" });
    assert.equal(libvirt.status.connected, true);
  });

  it("ends with its connection, and is not opened again", async (t) => {
    const daemon = await FakeDaemon.start(t);
    const libvirt = await connect(t, daemon);
    const session = await libvirt.pin();
    daemon.clients.at(-1)?.socket.destroy();
    assert.equal((await session.closed).reason, "LIBVIRT_DISCONNECTED");
    assert.equal(
      await session.call(p.connectGetHostname, {}).catch(reason),
      "unavailable LIBVIRT_DISCONNECTED",
    );
    assert.equal(daemon.clients.length, 4);
  });

  it("ends with its client", async (t) => {
    const daemon = await FakeDaemon.start(t);
    const libvirt = await connect(t, daemon);
    const session = await libvirt.pin();
    await libvirt.close();
    assert.equal((await session.closed).reason, "LIBVIRT_CLOSED");
    assert.equal(await libvirt.pin().catch(reason), "unavailable LIBVIRT_CLOSED");
  });
});
