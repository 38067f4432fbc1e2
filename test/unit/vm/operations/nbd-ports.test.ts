import assert from "node:assert/strict";
import { test } from "node:test";
import type { Vm } from "../../../../agent/vm/model/vm.ts";
import { NbdPorts } from "../../../../agent/vm/operations/nbd-ports.ts";

const ADDRESS = "10.0.0.5";
const openAt = (id: string, port: number): Vm =>
  ({ backups: { open: { id, nbd: { address: ADDRESS, port } }, stale: [] } }) as unknown as Vm;

function stage() {
  const on = { vms: [] as Vm[], nowMs: 0 };
  const table = { all: () => on.vms };
  const ports = { first: 10_900, last: 10_902 };
  const clock = { monotonicMs: () => on.nowMs };
  return { on, ports: new NbdPorts({ address: ADDRESS, ports, table, clock }) };
}

test("each backup gets a port that no open or beginning backup has, as long as there is one", () => {
  const { on, ports } = stage();
  on.vms = [openAt("z", 10_901)];
  const [first, second] = [ports.take("a"), ports.take("b")];
  assert.deepEqual([first.port, second.port].sort(), [10_900, 10_902]);
  assert.equal(first.address, ADDRESS);
  assert.throws(() => ports.take("c"), { kind: "exhausted", reason: "NBD_PORTS_IN_USE" });
  // The table shows the begun one at once, and its end later.
  on.vms = [openAt("z", 10_901), openAt("a", first.port)];
  ports.release("a");
  assert.throws(() => ports.take("c"), { reason: "NBD_PORTS_IN_USE" });
  on.vms = [openAt("z", 10_901)];
  assert.equal(ports.take("c").port, first.port);
});

test("a port stays taken until the table may be expected to show its backup", () => {
  const { on, ports } = stage();
  const taken = ["a", "b", "c"].map((id) => ports.take(id).port);
  ports.release("a");
  assert.throws(() => ports.take("d"), { reason: "NBD_PORTS_IN_USE" });
  on.nowMs = 60_000;
  assert.equal(ports.take("d").port, taken[0]);
});

test("a resumed begin keeps the port that it noted, unless the host's address is another one since", () => {
  const { on, ports } = stage();
  on.vms = [openAt("a", 10_902)];
  assert.deepEqual(ports.take("a", { address: ADDRESS, port: 10_902 }), { address: ADDRESS, port: 10_902 });
  assert.throws(() => ports.take("a", { address: "10.0.0.6", port: 10_902 }), {
    reason: "NBD_TLS_NOT_CONFIGURED",
  });
});
