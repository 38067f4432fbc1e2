import assert from "node:assert/strict";
import { test } from "node:test";
import type { Vm } from "../../../../agent/vm/model/vm.ts";
import { NbdPorts } from "../../../../agent/vm/operations/nbd-ports.ts";

const openAt = (port: number): Vm =>
  ({ backups: { open: { nbd: { address: "10.0.0.5", port } }, stale: [] } }) as unknown as Vm;

test("each backup gets a port that no open or beginning backup has, as long as there is one", () => {
  let vms: readonly Vm[] = [openAt(10_901)];
  const ports = new NbdPorts({ address: "10.0.0.5", ports: "10900-10902", table: { all: () => [...vms] } });
  const [first, second] = [ports.take("a"), ports.take("b")];
  assert.deepEqual([first.port, second.port].sort(), [10_900, 10_902]);
  assert.equal(first.address, "10.0.0.5");
  assert.throws(() => ports.take("c"), { kind: "exhausted", reason: "NBD_PORTS_IN_USE" });
  ports.release("a");
  assert.equal(ports.take("c").port, first.port);
  // An ended backup leaves its port; one that the table shows keeps it without a claim.
  vms = [openAt(first.port)];
  ports.release("c");
  ports.release("b");
  const next = [ports.take("d").port, ports.take("e").port].sort();
  assert.deepEqual(
    next,
    [10_900, 10_901, 10_902].filter((port) => port !== first.port),
  );
});
