import assert from "node:assert/strict";
import test from "node:test";
import { fakeAgent, socle } from "../../support/cli/fake-agent.ts";
import { operation } from "../../support/cli/samples.ts";
import { endsWith, running } from "../../support/cli/change-stage.ts";

test("a device is attached and detached by its name, and a dry run validates alone", async (context) => {
  const asked: unknown[] = [];
  const result = { device: "gpu", address: "0000:af:00.0", applies: "now" };
  const socket = await fakeAgent(context, {
    vms: {
      AttachPciDevice({ request: { vm, device, validateOnly } }, done) {
        asked.push(["attach", vm, device, validateOnly]);
        done(null, running);
      },
      DetachPciDevice({ request: { vm, device, validateOnly } }, done) {
        asked.push(["detach", vm, device, validateOnly]);
        done(null, running);
      },
    },
    operations: endsWith(operation({ kind: "ATTACH_PCI_DEVICE", result })),
  });
  const pci = async (...words: string[]) => await socle(["vm", "pci", ...words], { socket });
  assert.match((await pci("attach", "web-1", "gpu")).stdout, /address: 0000:af:00\.0/);
  await pci("attach", "web-1", "0000:af:00.0", "--dry-run");
  await pci("detach", "web-1", "gpu");
  await pci("detach", "web-1", "gpu", "--dry-run");
  assert.equal((await pci("attach", "web-1")).exitCode, 2);
  assert.deepEqual(asked, [
    ["attach", "web-1", "gpu", false],
    ["attach", "web-1", "0000:af:00.0", true],
    ["detach", "web-1", "gpu", false],
    ["detach", "web-1", "gpu", true],
  ]);
  const json = await socle(["--json", "vm", "pci", "attach", "web-1", "gpu"], { socket });
  assert.deepEqual((JSON.parse(json.stdout) as { result: unknown }).result, result);
});
