import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Screens } from "../../../../agent/vm/hypervisor/screens.ts";
import { noDevices } from "../../../../agent/libvirt/xml/index.ts";
import type { VmDomain } from "../../../../agent/vm/model/vm-domain.ts";
import { folder } from "../../../support/state/folder.ts";
import { vm } from "../../../support/api/harness.ts";
import { eventually } from "../../../support/wait.ts";

const PNG = Buffer.from("89504e470d0a1a0a", "hex");
const running = { ...vm("a"), managed: true, state: "running" as const };
const { signal } = new AbortController();

/** Screens of VMs whose live XML has this socket, and whose screenshots are these pieces. */
function screensWith(
  socket: string | undefined,
  pieces: readonly Buffer[] = [],
  mime: string | null = "image/png",
  connectMs?: number,
) {
  const graphics = socket === undefined ? [] : [{ type: "vnc", socket }];
  const document = { devices: { ...noDevices, graphics } } as unknown as VmDomain;
  const stream = { reply: { mime }, [Symbol.asyncIterator]: () => pieces.values() };
  const calls = { openStream: () => Promise.resolve(stream) };
  return new Screens({ document: () => Promise.resolve(document) }, calls as never, connectMs);
}

async function served(t: TestContext): Promise<string> {
  const path = join(await folder(t), "a.vnc");
  const server = createServer((socket) => void socket.resume());
  server.listen(path);
  await once(server, "listening");
  t.after(() => server.close());
  return path;
}

const shot = async (screens: Screens): Promise<number> => {
  let bytes = 0;
  for await (const piece of screens.screenshot(running, 0, signal)) {
    assert.ok(piece.length <= 64 * 1024);
    bytes += piece.length;
  }
  return bytes;
};

test("only a running VM of Socle with a screen of its own is connected", async (t) => {
  const path = await served(t);
  const socket = await screensWith(path).connect(running, signal);
  socket.destroy();
  const refused = (screens: Screens, changes: object): Promise<void> =>
    assert.rejects(screens.connect({ ...running, ...changes }, signal), (thrown: { reason: string }) => {
      reasons.push(thrown.reason);
      return true;
    });
  const reasons: string[] = [];
  await refused(screensWith(path), { managed: false });
  await refused(screensWith(path), { state: "stopped" });
  await refused(screensWith(undefined), {});
  await refused(screensWith("/run/libvirt/libvirt-sock"), {});
  await refused(screensWith(join(path, "../missing/a.vnc")), {});
  assert.deepEqual(reasons, [
    "VM_UNMANAGED",
    "VM_STATE_CONFLICT",
    "SCREEN_NOT_CONFIGURED",
    "SCREEN_NOT_CONFIGURED",
    "SCREEN_UNREACHABLE",
  ]);
});

test("a screen lives on after the time that its connection may take", async (t) => {
  const path = join(await folder(t), "a.vnc");
  const server = createServer((socket) => socket.pipe(socket));
  server.listen(path);
  await once(server, "listening");
  t.after(() => server.close());
  const connectMs = 100;
  const late = once(AbortSignal.timeout(2 * connectMs), "abort");
  const socket = await screensWith(path, [], null, connectMs).connect(running, signal);
  // Also keeps the process running until then.
  const beat = setInterval(() => socket.write("."), connectMs);
  await late;
  clearInterval(beat);
  assert.equal(socket.destroyed, false);
  socket.write("still here");
  for await (const bytes of socket) if (String(bytes).includes("still here")) break;
});

test("the screens of a VM are bounded, and a closed one makes room", async (t) => {
  const screens = screensWith(await served(t));
  const open = [];
  for (let each = 0; each < 4; each += 1) open.push(await screens.connect(running, signal));
  assert.equal(screens.open, 4);
  await assert.rejects(screens.connect(running, signal), { kind: "exhausted", reason: "SCREENS_EXHAUSTED" });
  open[0]?.destroy();
  await eventually(() => screens.open === 3);
  open.push(await screens.connect(running, signal));
  for (const socket of open) socket.destroy();
  await eventually(() => screens.open === 0);
});

test("a screenshot is PNG of a bounded size, in pieces", async () => {
  const path = "/run/x/a.vnc";
  assert.equal(await shot(screensWith(path, [PNG, Buffer.alloc(300_000)])), 300_008);
  await assert.rejects(shot(screensWith(path, [Buffer.from("P6 720 400")], "image/x-portable-pixmap")), {
    reason: "SCREENSHOT_NOT_PNG",
  });
  await assert.rejects(shot(screensWith(path, [])), { reason: "SCREENSHOT_NOT_PNG" });
  const large = [PNG, ...Array.from({ length: 17 }, () => Buffer.alloc(2 ** 20))];
  await assert.rejects(shot(screensWith(path, large)), { reason: "SCREENSHOT_TOO_LARGE" });
});
