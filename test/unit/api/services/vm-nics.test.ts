import assert from "node:assert/strict";
import { test } from "node:test";
import { status } from "@grpc/grpc-js";
import { ApiClient, errorOf, protos, startApi } from "../../../support/api/harness.ts";

test("changes of NICs carry their request to the VM layer", async (t) => {
  const { socket, requests } = await startApi(t);
  const client = new ApiClient(t, `unix:${socket}`);
  const { AttachNic, DetachNic, UpdateNic } = protos.vms;
  const nic = { name: "back", network: "net", linkDown: true };
  await client.call(AttachNic, { requestId: "1", vm: "web", nic, etag: "e" });
  await client.call(DetachNic, { requestId: "2", vm: "web", nic: "back", validateOnly: true });
  await client.call(UpdateNic, { requestId: "3", vm: "web", nic: "back", linkState: "NIC_LINK_DOWN" });
  await client.call(UpdateNic, { requestId: "4", vm: "web", nic: "back" });
  const source = { kind: "network", network: "net" };
  const plain = { vm: "web", etag: undefined, validateOnly: false };
  assert.deepEqual(
    requests.map(([, request]) => request),
    [
      {
        ...plain,
        requestId: "1",
        etag: "e",
        nic: { name: "back", source, allowSpoofing: false, allowedAddresses: [], linkDown: true },
      },
      { ...plain, requestId: "2", nic: "back", validateOnly: true },
      { ...plain, requestId: "3", nic: "back", link: "down" },
      { ...plain, requestId: "4", nic: "back", link: undefined },
    ],
  );
});

test("a request without a NIC, a NIC without a source and an unknown link state name the field", async (t) => {
  const { socket } = await startApi(t);
  const client = new ApiClient(t, `unix:${socket}`);
  const { AttachNic, UpdateNic } = protos.vms;
  const of = { requestId: "1", vm: "web" };
  for (const request of [of, { ...of, nic: { name: "back" } }]) {
    const { code, fields } = await errorOf(client.call(AttachNic, request));
    assert.deepEqual([code, Object.keys(fields)], [status.INVALID_ARGUMENT, ["nic"]]);
  }
  // The cast stands for a newer caller.
  const linkState = 7 as 0;
  const unknown = await errorOf(client.call(UpdateNic, { ...of, nic: "back", linkState }));
  assert.deepEqual([unknown.info.reason, Object.keys(unknown.fields)], ["UNKNOWN_VALUE", ["link_state"]]);
});
