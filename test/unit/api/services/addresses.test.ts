import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiClient, protos, startApi, vm } from "../../../support/api/harness.ts";

test("the etag of a list covers the addresses of its VMs, and a VM's own does not", async (t) => {
  const { socket, table } = await startApi(t);
  const client = new ApiClient(t, `unix:${socket}`);
  const nic = { network: "front", mac: "52:54:00:00:00:01" };
  table.put(vm("a", { nics: [nic] }));
  const before = await client.call(protos.vms.ListVms, {});
  table.putLeases([{ ...nic, address: "192.0.2.7", prefixLength: 24 }]);
  const now = await client.call(protos.vms.ListVms, { etag: before.etag });
  assert.equal(now.notModified, false);
  assert.deepEqual(
    now.vms[0]?.nics.map(({ mac, addresses }) => [mac, addresses.map(({ address }) => address)]),
    [["52:54:00:00:00:01", ["192.0.2.7"]]],
  );
  assert.deepEqual(
    now.vms.map((each) => each.etag),
    before.vms.map((each) => each.etag),
  );
});
