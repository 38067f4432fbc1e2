import assert from "node:assert/strict";
import { it } from "node:test";
import * as p from "../../../../agent/libvirt/protocol/index.ts";
import { connect, dom, reason } from "../../../support/libvirt/client-stage.ts";
import { encoded, FakeDaemon, frame, type Received } from "../../../support/libvirt/fake-daemon.ts";
import { eventually } from "../../../support/wait.ts";

const REPLY_WITH_FDS = 5;

it("a reply with descriptors fails its own call as unsupported, and no other call of its connection", async (t) => {
  const daemon = await FakeDaemon.start(t);
  const libvirt = await connect(t, daemon);
  const calls: Received[] = [];
  daemon.on(p.domainOpenGraphicsFd, (call) => calls.push(call));
  daemon.on(p.domainCreateWithFlags, (call) => calls.push(call));
  const open = libvirt.call(p.domainOpenGraphicsFd, { dom, idx: 0, flags: 0 });
  const change = libvirt.call(p.domainCreateWithFlags, { dom, flags: 0 });
  await eventually(() => calls.length === 2);
  const [opening, creating] = calls;
  assert.ok(opening && creating);
  // The body is the number of descriptors. Behind the frame, a byte carries each.
  const words = { procedure: opening.procedure, type: REPLY_WITH_FDS, serial: opening.serial };
  opening.client.send(Buffer.concat([frame(words, Buffer.from([0, 0, 0, 2])), Buffer.alloc(1)]));
  assert.equal(await open.catch(reason), "unsupported LIBVIRT_DESCRIPTORS_UNSUPPORTED");
  opening.client.send(Buffer.alloc(1));
  creating.reply(encoded(p.domainCreateWithFlags.result, { dom }));
  assert.deepEqual(await change, { dom });
  assert.equal(libvirt.reconnects, 0);
  assert.ok(daemon.clients.every(({ received }) => received.every(({ type }) => type !== 4)));
});
