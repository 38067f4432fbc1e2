import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdir, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import test from "node:test";
import { identifyMachine } from "../../../../agent/hardware/system/identity.ts";
import { program } from "../../../support/programs.ts";
import { unpackHost } from "../../../support/tree.ts";
import { machine } from "../../../support/hardware/fixture.ts";

const server = await machine("two-sockets");
const small = await machine("small-vm");
const fromFirmware = { vendor: "Dell Inc.", model: "PowerEdge R650", serial: "7KQ4N53" };

test("the probe's values override the firmware's, field by field", async () => {
  const answer = JSON.stringify({ vendor: "Lenovo", model: "-", serial: "Default string" });
  const found = await identifyMachine(["echo", answer], server);
  assert.deepEqual(found, { identity: { ...fromFirmware, vendor: "Lenovo" } });
});

test("a probe that fails, prints garbage or is late leaves the firmware's values and the reason", async () => {
  const failing = await identifyMachine(["sh", "-c", "echo no >&2; exit 1"], server);
  assert.deepEqual(failing.identity, fromFirmware);
  assert.match(failing.incompleteReason ?? "", /systeminformation: .*no/);
  assert.ok((await identifyMachine(["echo", "not JSON"], server)).incompleteReason !== undefined);
  const late = await identifyMachine(["sleep", "60"], server, { timeoutMs: 100 });
  assert.deepEqual(late.identity, fromFirmware);
  assert.match(late.incompleteReason ?? "", /100 ms/);
});

test("the helper reads the serial number that only root may read, and a missing helper is reported", async (context) => {
  const link = "etc/systemd/system/sockets.target.wants/socle-hardware.socket";
  const roots = await unpackHost(context, "sick-server", { [link]: "" });
  await rm(join(roots.sysRoot, "class/dmi/id/product_serial"), { force: true });
  const socket = join(roots.runRoot, "socle-hardware.sock");
  const gone = await identifyMachine(["echo", "{}"], roots);
  assert.equal(gone.identity.serial, "");
  assert.match(gone.incompleteReason ?? "", /^serial number: the hardware helper cannot be reached/);
  await mkdir(roots.runRoot, { recursive: true });
  const queried: string[] = [];
  const helper = createServer((connection) =>
    connection.on("data", (question) => {
      queried.push(question.toString());
      connection.end(JSON.stringify({ answer: "7KQ4N53" }));
    }),
  ).listen(socket);
  context.after(() => helper.close());
  await once(helper, "listening");
  const { identity, incompleteReason } = await identifyMachine(["echo", "{}"], roots);
  assert.deepEqual([identity.serial, incompleteReason, queried], ["7KQ4N53", undefined, ["serial\n"]]);
});

test("the real probe runs in its own child", async () => {
  const probe = program("agent/hardware/system/inventory-probe.ts");
  const found = await identifyMachine([process.execPath, ...probe], small);
  assert.equal(found.incompleteReason, undefined);
});
