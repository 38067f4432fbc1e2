import assert from "node:assert/strict";
import { test } from "node:test";
import { hostToProto } from "../../../agent/api/convert/host.ts";
import { vmToProto } from "../../../agent/api/convert/vm.ts";
import { systemClock } from "../../../agent/kernel/clock.ts";
import { silentLog } from "../../../agent/kernel/log.ts";
import { ReportedState } from "../../../agent/scheduler/state.ts";
import { Position } from "../../../agent/state/records/position.ts";
import { VmTable } from "../../../agent/vm/observation/vm-table.ts";
import { FakeHost, vm } from "../../support/api/harness.ts";

test("a host that cannot be converted loses its own part of the report, and is not hidden", () => {
  const table = new VmTable();
  let broken = false;
  const state = new ReportedState({
    vms: table,
    host: new FakeHost(),
    position: new Position({ agentEpoch: 1 }),
    clock: systemClock,
    hostMessage: (...about) => {
      if (broken) throw new Error("no such word");
      return hostToProto(...about);
    },
    vmMessage: vmToProto,
    log: silentLog,
  });
  const { etag } = state.host;
  broken = true;
  table.put(vm("a"));
  state.refresh();
  assert.match(state.failure?.message ?? "", /no such word/);
  assert.equal(state.host.etag, etag);
  assert.deepEqual(
    state.vmMessages().map(({ vmId }) => vmId),
    ["a"],
  );
  broken = false;
  state.refresh();
  assert.equal(state.failure, undefined);
  assert.notEqual(state.host.etag, etag);
});

test("a changed lease is a change of the report, under the VM's same etag", () => {
  const table = new VmTable();
  const state = new ReportedState({
    vms: table,
    host: new FakeHost(),
    position: new Position({ agentEpoch: 1 }),
    clock: systemClock,
    hostMessage: hostToProto,
    vmMessage: vmToProto,
    log: silentLog,
  });
  const nic = { network: "front", mac: "52:54:00:00:00:01" };
  table.put(vm("a", { nics: [nic] }));
  state.refresh();
  const { generation } = state;
  const [before] = state.vmMessages();
  const lease = { ...nic, address: "192.0.2.7", prefixLength: 24 };
  table.putLeases([lease]);
  state.refresh();
  const [vmNow = assert.fail()] = state.since(generation)?.changedVms ?? [];
  const source = "NIC_ADDRESS_SOURCE_LEASE";
  assert.deepEqual(vmNow.nics?.[0]?.addresses, [{ address: "192.0.2.7", prefixLength: 24, source }]);
  assert.equal(vmNow.etag, before?.etag);
  table.putLeases([lease]);
  const { generation: after } = state;
  state.refresh();
  assert.equal(state.generation, after);
});
