import assert from "node:assert/strict";
import { it } from "node:test";
import * as p from "../../../../agent/libvirt/protocol/index.ts";
import { connect, dom, itemsOf, listener, register, values } from "../../../support/libvirt/client-stage.ts";
import { FakeDaemon } from "../../../support/libvirt/fake-daemon.ts";
import { eventually } from "../../../support/wait.ts";

it("events of screens, media, trays and MAC addresses are registered and decoded", async (t) => {
  const daemon = await FakeDaemon.start(t);
  const libvirt = await connect(t, daemon);
  const events = itemsOf(t, libvirt.events);
  const client = await listener(daemon);
  const { graphics, diskChange, trayChange, nicMacChange } = p.domainEvents;
  const registered = client
    .callsOf(register)
    .map((call) => call.args(p.connectDomainEventCallbackRegisterAny).eventId);
  for (const { eventId } of [graphics, diskChange, trayChange, nicMacChange])
    assert.ok(registered.includes(eventId), `event ${eventId}`);

  client.event(p.domainEventCallbackGraphics, {
    callbackId: 1,
    dom,
    phase: 2,
    local: { family: 2, node: "/run/vm.vnc", service: "" },
    remote: { family: 1, node: "::1", service: "4711" },
    authScheme: "x509",
    subject: [{ type: "x509", name: "CN=me" }],
  });
  const devAlias = "sata0-0-0";
  client.event(p.domainEventCallbackDiskChange, {
    callbackId: 1,
    dom,
    oldSrcPath: "/old.iso",
    newSrcPath: null,
    devAlias,
    reason: 1,
  });
  client.event(p.domainEventCallbackTrayChange, { callbackId: 1, dom, devAlias, reason: 0 });
  client.event(p.domainEventCallbackTrayChange, { callbackId: 1, dom, devAlias, reason: 9 });
  const macs = { oldMac: "52:54:00:00:00:01", newMac: "52:54:00:00:00:02" };
  client.event(p.domainEventNicMacChange, { callbackId: 1, dom, alias: "net0", ...macs });
  await eventually(() => events.length === 5);
  assert.deepEqual(values(events), [
    {
      kind: "graphics",
      domain: dom,
      phase: "disconnect",
      local: { family: "unix", node: "/run/vm.vnc", service: "" },
      remote: { family: "ipv6", node: "::1", service: "4711" },
      authentication: "x509",
      identities: [{ type: "x509", name: "CN=me" }],
    },
    {
      kind: "disk_change",
      domain: dom,
      device: devAlias,
      reason: "drop_missing_on_start",
      oldPath: "/old.iso",
      newPath: null,
    },
    { kind: "tray_change", domain: dom, device: devAlias, tray: "open" },
    { kind: "tray_change", domain: dom, device: devAlias, tray: "unknown" },
    { kind: "nic_mac_change", domain: dom, device: "net0", ...macs },
  ]);
});
