import assert from "node:assert/strict";
import { test } from "node:test";
import { RereadRota } from "../../../../agent/vm/observation/reread-rota.ts";
import { vm } from "../../../support/api/harness.ts";

const id = (index: number): string => `vm-${String(index).padStart(4, "0")}`;

for (const roundMs of [1000, 10_000, 17_000])
  test(`every stopped VM is read again within a minute, spread over rounds of ${roundMs} ms`, () => {
    let nowMs = 0;
    const rota = new RereadRota({ monotonicMs: () => nowMs });
    const vms = Array.from({ length: 500 }, (_, index) => vm(id(index), { state: "stopped" }));
    assert.deepEqual(rota.next(vms), [], "all were just read");
    const readAt = new Map(vms.map((each) => [each.id, 0]));
    let most = 0;
    while (nowMs < 600_000) {
      nowMs += roundMs;
      const turn = rota.next(vms);
      most = Math.max(most, turn.length);
      for (const each of turn) readAt.set(each.id, nowMs);
      const oldest = Math.min(...readAt.values());
      assert.ok(nowMs - oldest < 60_000 + roundMs, `one was not read since ${oldest}`);
    }
    assert.ok(most <= Math.ceil((500 * roundMs) / 45_000), `${most} in one round`);
  });

test("a running VM is read again while it is unreadable, and where its memory grows", () => {
  let nowMs = 0;
  const rota = new RereadRota({ monotonicMs: () => nowMs });
  const vms = [vm("a"), vm("b", { unreadable: "spec: it is not JSON" }), vm("c", { libvirtMemoryBytes: 9 })];
  rota.next(vms);
  nowMs += 45_000;
  assert.deepEqual(
    rota.next(vms).map((each) => each.id),
    ["b", "c"],
  );
});
