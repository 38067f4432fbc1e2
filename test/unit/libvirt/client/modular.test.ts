import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import type { Lane } from "../../../../agent/libvirt/client/options.ts";
import * as p from "../../../../agent/libvirt/protocol/index.ts";
import { FakeClock } from "../../../support/host/fake-clock.ts";
import {
  connect,
  dom,
  itemsOf,
  passRetries,
  replyHostname,
  values,
} from "../../../support/libvirt/client-stage.ts";
import { encoded, FakeDaemon } from "../../../support/libvirt/fake-daemon.ts";
import { eventually } from "../../../support/wait.ts";

describe("modular daemons", () => {
  async function modular(
    t: TestContext,
  ): Promise<{ directory: string; start: (name: string) => Promise<FakeDaemon> }> {
    const directory = await mkdtemp(join(tmpdir(), "socle-modular-"));
    t.after(() => rm(directory, { recursive: true, force: true }));
    return {
      directory,
      start: (name) => FakeDaemon.start(t, { socketPath: join(directory, `${name}-sock`) }),
    };
  }

  it("each answer for their own driver, under its URI, and publish its events", async (t) => {
    const { directory, start } = await modular(t);
    const qemu = await start("virtqemud");
    const storage = await start("virtstoraged");
    storage.on(p.connectListAllStoragePools, (call) =>
      call.reply(encoded(p.connectListAllStoragePools.result, { pools: [], ret: 0 })),
    );
    const libvirt = await connect(t, qemu, { uri: "qemu:///system", runDirectory: directory });
    const events = itemsOf(t, libvirt.events);
    await libvirt.call(p.connectListAllStoragePools, { needResults: true, flags: 0 });
    const own = storage.clients.find(
      (client) => client.callsOf(p.connectListAllStoragePools.number).length === 1,
    );
    assert.deepEqual(own?.callsOf(1)[0]?.args(p.connectOpen), { name: "storage:///system", flags: 0 });
    const numbers = qemu.clients.flatMap(({ received }) => received.map(({ procedure }) => procedure));
    assert.ok(
      !numbers.includes(p.connectStoragePoolEventRegisterAny.number),
      "pools are not requested of virtqemud",
    );

    const ear = await eventually(() =>
      storage.open.find((client) => client.callsOf(p.connectStoragePoolEventRegisterAny.number).length === 2),
    );
    ear.event(p.storagePoolEventRefresh, { callbackId: 1, pool: { name: "pool", uuid: dom.uuid } });
    await eventually(() => events.length === 1);
    ear.socket.destroy();
    await eventually(() => events.length === 3);
    assert.deepEqual(values(events).slice(1), [
      { kind: "resync", family: "storage", reason: "disconnected" },
      { kind: "resync", family: "storage", reason: "reconnected" },
    ]);
    assert.equal(libvirt.status.connected, true);
  });

  it("that are missing fail their own calls with the paths that were tried, until they run", async (t) => {
    const { directory, start } = await modular(t);
    const qemu = await start("virtqemud");
    const clock = new FakeClock();
    const libvirt = await connect(t, qemu, { uri: "qemu:///system", runDirectory: directory, clock });
    const list = (): Promise<unknown> =>
      libvirt.call(p.connectListAllNetworks, { needResults: true, flags: 0 });
    const events = itemsOf(t, libvirt.events);
    const missing = assert.rejects(list(), /tried .*virtnetworkd-sock/);
    await passRetries(clock);
    await missing;
    const network = await start("virtnetworkd");
    network.on(p.connectListAllNetworks, (call) =>
      call.reply(encoded(p.connectListAllNetworks.result, { nets: [], ret: 0 })),
    );
    // Each lane reports it, the last of them once all calls and events work.
    await eventually(() => {
      clock.advance(20);
      return events.length === 2;
    });
    const resync = { kind: "resync", family: "network", reason: "reconnected" };
    assert.deepEqual(values(events), [resync, resync]);
    await list();
  });

  it("found by one lane are used by all: no call fails by a backoff that another lane does not have", async (t) => {
    const { directory, start } = await modular(t);
    const qemu = await start("virtqemud");
    const hours = { baseMs: 36_000_000, capMs: 36_000_000 };
    const clock = new FakeClock();
    const libvirt = await connect(t, qemu, {
      uri: "qemu:///system",
      runDirectory: directory,
      backoff: hours,
      clock,
    });
    const list = (lane: Lane): Promise<unknown> =>
      libvirt.call(p.connectListAllNetworks, { needResults: true, flags: 0 }, { lane });
    const missing = assert.rejects(list("command"), /tried .*virtnetworkd-sock/);
    await passRetries(clock);
    await missing;
    const network = await start("virtnetworkd");
    network.on(p.connectListAllNetworks, (call) =>
      call.reply(encoded(p.connectListAllNetworks.result, { nets: [], ret: 0 })),
    );
    const waiting = assert.rejects(
      list("command"),
      { kind: "unavailable" },
      "its next attempt is hours away",
    );
    await passRetries(clock);
    await waiting;
    await list("observation");
    await list("command");
    await eventually(() => network.clients.length === 3, { what: "the events' lane" });

    // A daemon that drops accepted connections: its lanes do not trigger each other's retries.
    network.on(p.connectGetLibVersion, (call) => {
      call.reply(encoded(p.connectGetLibVersion.result, { libVer: 11_003_000 }));
      call.client.socket.end();
    });
    network.dropAll();
    await list("slow").catch(() => undefined);
    qemu.on(p.connectGetHostname, (call) => replyHostname(call));
    for (let i = 0; i < 100; i++) await libvirt.call(p.connectGetHostname, {});
    assert.ok(network.clients.length <= 6, `${network.clients.length} connections`);
  });
});
