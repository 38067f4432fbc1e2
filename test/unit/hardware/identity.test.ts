import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { identifyMachine, probeCommand } from "../../../agent/hardware/identity.ts";
import { machine } from "./fixture.ts";

const server = await machine("two-sockets");
const small = await machine("small-vm");
const fromFirmware = { vendor: "Dell Inc.", model: "PowerEdge R650", serial: "7KQ4N53" };

test("the probe's answer goes before the firmware's, field by field", async () => {
  const answer = JSON.stringify({ vendor: "Lenovo", model: "-", serial: "Default string" });
  const found = await identifyMachine(["echo", answer], server);
  assert.deepEqual(found, { identity: { ...fromFirmware, vendor: "Lenovo" } });
});

test("a probe that fails, babbles or is late leaves the firmware's words and the reason", async () => {
  const failing = await identifyMachine(["sh", "-c", "echo no >&2; exit 1"], server);
  assert.deepEqual(failing.identity, fromFirmware);
  assert.match(failing.incompleteReason ?? "", /systeminformation: .*no/);
  assert.ok((await identifyMachine(["echo", "not JSON"], server)).incompleteReason !== undefined);
  const late = await identifyMachine(["sleep", "60"], server, { timeoutMs: 100 });
  assert.deepEqual(late.identity, fromFirmware);
  assert.match(late.incompleteReason ?? "", /100 ms/);
});

test("the real probe answers in a child of its own", async () => {
  const probe = join(import.meta.dirname, "../../../agent/hardware/inventory-probe.ts");
  const found = await identifyMachine(probeCommand(probe), small);
  assert.equal(found.incompleteReason, undefined);
});
