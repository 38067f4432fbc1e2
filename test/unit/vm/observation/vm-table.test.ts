import assert from "node:assert/strict";
import { test } from "node:test";
import { VmTable } from "../../../../agent/vm/observation/vm-table.ts";
import { withEtag } from "../../../../agent/vm/observation/vm-from-domain.ts";
import type { Vm } from "../../../../agent/vm/model/vm.ts";
import { vm as anyVm } from "../../../support/api/fakes.ts";

const vm = (id: string, changes: Partial<Vm> = {}): Vm => anyVm(id, { observedAtMs: 1, ...changes });

/** The kinds of change that were published while `act` ran. */
async function changesDuring(table: VmTable, act: () => void): Promise<string[]> {
  const end = new AbortController();
  const changes = table.subscribe(end.signal);
  act();
  end.abort();
  const kinds: string[] = [];
  for await (const item of changes) kinds.push(item.kind === "item" ? item.value.kind : item.kind);
  return kinds;
}

test("additions, changes and removals are published; readings and repetitions are not", async () => {
  const table = new VmTable();
  const kinds = await changesDuring(table, () => {
    table.put(vm("b"));
    table.put(vm("a"));
    table.put(vm("a", { observedAtMs: 2 }));
    table.putStats("a", {
      sampledAtMs: 3,
      sampledAtMonotonicMs: 3,
      unresponsive: false,
      vcpus: [],
      nics: [],
      disks: [],
    });
    table.put(vm("a", { state: "paused", stateReason: "USER" }));
    table.remove("b");
    table.remove("b");
  });
  assert.deepEqual(kinds, ["added", "added", "changed", "removed"]);
  assert.deepEqual(
    table.all().map(({ id, state, observedAtMs, stats }) => ({
      id,
      state,
      observedAtMs,
      sampled: stats?.sampledAtMs,
    })),
    [{ id: "a", state: "paused", observedAtMs: 1, sampled: 3 }],
  );
});

test("a renamed VM is found by its new name and not by the old one", () => {
  const table = new VmTable();
  table.put(vm("a"));
  table.put(vm("a", { name: "other" }));
  assert.equal(table.get("other")?.id, "a");
  assert.equal(table.get("name-a"), undefined);
});

test("a name that passes from one VM to another finds the new one, in either order of observation", () => {
  const table = new VmTable();
  table.put(vm("a", { name: "x" }));
  table.put(vm("b", { name: "y" }));
  table.put(vm("a", { name: "y" }));
  table.put(vm("b", { name: "z" }));
  assert.deepEqual(
    ["x", "y", "z"].map((name) => table.get(name)?.id),
    [undefined, "a", "b"],
  );
});

test("a lost connection makes every VM unknown and none absent", async () => {
  const table = new VmTable();
  table.put(vm("a"));
  table.completed(10);
  assert.equal(table.complete, true);
  const kinds = await changesDuring(table, () => table.markUnknown());
  assert.deepEqual(kinds, ["resync"]);
  assert.equal(table.complete, false);
  assert.deepEqual(
    table.all().map(({ id, presence, state }) => ({ id, presence, state })),
    [{ id: "a", presence: "unknown", state: "running" }],
  );
});

test("an unknown VM has another etag, and the same one as before once it is observed again", () => {
  const table = new VmTable();
  const known = withEtag(vm("a"));
  table.put(known);
  table.markUnknown();
  const lost = table.get("a");
  assert.notEqual(lost?.etag, known.etag);
  assert.equal(withEtag({ ...known, presence: "unknown" }).etag, lost?.etag);
  assert.equal(withEtag({ ...known, ...lost, presence: "present" }).etag, known.etag);
});

test("until() resolves at the change, at once if already true, and rejects when aborted", async () => {
  const table = new VmTable();
  table.put(vm("a"));
  const never = new AbortController();
  assert.equal((await table.until("a", (seen) => seen?.state === "running", never.signal))?.id, "a");
  const gone = table.until("a", (seen) => seen === undefined, never.signal);
  table.remove("a");
  assert.equal(await gone, undefined);
  const waiting = table.until("a", (seen) => seen !== undefined, never.signal);
  never.abort(new Error("enough"));
  await assert.rejects(waiting, /enough/);
});

test("leases are those of a running VM's NICs; their change is published and leaves the etag alone", async () => {
  const table = new VmTable();
  const nics = [{ mac: "52:54:00:00:00:01", network: "front" }];
  const lease = { network: "front", mac: "52:54:00:00:00:01", address: "192.0.2.7", prefixLength: 24 };
  table.put(vm("a", { nics }));
  table.put(vm("off", { nics, state: "stopped" }));
  const etag = table.get("a")?.etag;
  const others = [
    { ...lease, network: "back" },
    { ...lease, mac: "52:54:00:00:00:02" },
  ];
  const kinds = await changesDuring(table, () => {
    table.putLeases(others);
    table.putLeases([...others, lease]);
    table.putLeases([lease, ...others]);
    // An event, and a read of the VM, carry no leases.
    table.put(vm("a", { nics, observedAtMs: 9 }));
  });
  assert.deepEqual(kinds, ["changed"]);
  assert.deepEqual(table.get("a")?.leases, [lease]);
  assert.equal(table.get("a")?.etag, etag);
  assert.equal(withEtag(table.get("a") ?? assert.fail()).etag, etag);
  assert.equal(table.get("off")?.leases, undefined);
  const ended = await changesDuring(table, () => table.put(vm("a", { nics, state: "stopped" })));
  assert.deepEqual([ended, table.get("a")?.leases], [["changed"], undefined]);
  table.put(vm("a", { nics }));
  assert.deepEqual(table.get("a")?.leases, [lease], "a guest that starts again has its lease");
  assert.deepEqual(await changesDuring(table, () => table.putLeases([])), ["changed"]);
  assert.equal(table.get("a")?.leases, undefined);
});

test("of a guest that takes many leases some are kept", () => {
  const table = new VmTable();
  const of = { network: "front", mac: "52:54:00:00:00:01", prefixLength: 16 };
  table.put(vm("a", { nics: [of] }));
  table.putLeases(
    Array.from({ length: 1000 }, (_, at) => ({ ...of, address: `10.0.${at >> 8}.${at & 255}` })),
  );
  assert.equal(table.get("a")?.leases?.length, 64);
});
