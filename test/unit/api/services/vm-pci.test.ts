import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiClient, protos, startApi } from "../../../support/api/harness.ts";

test("changes of PCI devices carry their request to the VM layer", async (t) => {
  const { socket, requests } = await startApi(t);
  const client = new ApiClient(t, `unix:${socket}`);
  const { AttachPciDevice, DetachPciDevice } = protos.vms;
  await client.call(AttachPciDevice, { requestId: "1", vm: "web", device: "gpu", etag: "e" });
  await client.call(DetachPciDevice, {
    requestId: "2",
    vm: "web",
    device: "0000:af:00.0",
    validateOnly: true,
  });
  assert.deepEqual(requests, [
    [
      "ATTACH_PCI_DEVICE",
      { requestId: "1", vm: "web", device: "gpu", etag: "e", validateOnly: false },
      requests[0]?.[2],
    ],
    [
      "DETACH_PCI_DEVICE",
      { requestId: "2", vm: "web", device: "0000:af:00.0", etag: undefined, validateOnly: true },
      requests[1]?.[2],
    ],
  ]);
});
