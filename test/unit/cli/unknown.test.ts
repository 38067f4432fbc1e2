import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import type { Host } from "../../../agent/gen/socle/v1/Host.ts";
import type { ListVmsResponse } from "../../../agent/gen/socle/v1/ListVmsResponse.ts";
import { fakeAgent, socle } from "../../support/cli/fake-agent.ts";
import { ago, host, vm } from "../../support/cli/samples.ts";

const agentWith = (context: TestContext, listed: ListVmsResponse, changes: Partial<Host>): Promise<string> =>
  fakeAgent(context, {
    host: { GetHost: (_, done) => done(null, host(changes)) },
    vms: {
      ListVms: (_, done) => done(null, listed),
      GetVm: (_, done) => done(null, listed.vms?.[0] ?? {}),
    },
    operations: { ListOperations: (_, done) => done(null, {}) },
    reservations: { ListReservations: (_, done) => done(null, {}) },
  });

test("before the first VM list the VMs are unknown, and an empty list exits with an error", async (context) => {
  const never = { vms: [], observation: { presence: "PRESENCE_UNKNOWN", observedAt: null } } as const;
  const socket = await agentWith(context, { ...never, vms: [] }, { vms: {} });
  const listed = await socle(["vm", "ls"], { socket });
  assert.deepEqual([listed.exitCode, listed.stdout], [4, ""]);
  assert.match(listed.stderr, /^VM list unavailable: libvirt has not reported/);
  const names = await socle(["vm", "ls", "--quiet"], { socket });
  assert.deepEqual([names.exitCode, names.stdout], [4, ""]);
  const json = await socle(["vm", "ls", "--json"], { socket });
  assert.equal(json.exitCode, 4);
  assert.deepEqual(JSON.parse(json.stdout), { vms: [], complete: false, observedAt: null });
  assert.match(
    (await socle(["status"], { socket })).stdout,
    /^vms +unknown: libvirt has not reported its VMs yet$/m,
  );
  const top = (await socle(["top"], { socket })).stdout;
  assert.match(top, /^VM list unavailable: libvirt has not reported all VMs yet$/m);
  assert.match(top, /^VMs: unknown$/m);
});

test("after libvirt disconnected its VMs are counted as last seen, and none as running", async (context) => {
  const lost = vm({ observation: { presence: "PRESENCE_UNKNOWN", observedAt: ago(5) } });
  const observation = { presence: "PRESENCE_UNKNOWN", observedAt: ago(5) } as const;
  const socket = await agentWith(context, { vms: [lost], observation }, { vms: { managed: 1, unknown: 1 } });
  const listed = await socle(["vm", "ls"], { socket });
  assert.deepEqual(
    [listed.exitCode, listed.stderr],
    [0, "libvirt does not answer: these are the VMs as last seen 5s ago.\n"],
  );
  const { stdout } = await socle(["status"], { socket });
  assert.match(stdout, /^vms +1 managed, 0 unmanaged, 1 unknown: as last seen, libvirt does not answer$/m);
  assert.match((await socle(["top"], { socket })).stdout, /^1 VMs: 1 unknown/m);
  const shown = await socle(["vm", "show", "web-1"], { socket });
  assert.match(shown.stdout, /^seen +5s ago; libvirt does not answer$/m);
});

test("where libvirt answers and one VM is missing, libvirt is not reported as silent", async (context) => {
  const observation = { presence: "PRESENCE_UNKNOWN", observedAt: null } as const;
  const counts = { managed: 1, running: 1 };
  const socket = await agentWith(context, { vms: [vm()], observation }, { vms: counts });
  const listed = await socle(["vm", "ls"], { socket });
  const status = await socle(["status"], { socket });
  const top = await socle(["top"], { socket });
  for (const text of [listed.stderr, status.stdout, top.stdout]) {
    assert.match(text, /libvirt has not reported all VMs: there may be others/);
    assert.doesNotMatch(text, /does not answer|last seen/);
  }
  assert.equal(listed.exitCode, 0);
});

test("a guest that hangs does not count as running, and its readings show their age", async (context) => {
  const hung = vm({ stats: { sampledAt: ago(158), unresponsive: true } });
  const observation = { presence: "PRESENCE_PRESENT", observedAt: ago(1) } as const;
  const listed = { vms: [hung, vm({ vmId: "b", name: "b" })], observation };
  const counts = { managed: 2, running: 2, unresponsive: 1, complete: true };
  const socket = await agentWith(context, listed, { vms: counts });
  assert.match(
    (await socle(["status"], { socket })).stdout,
    /2 managed, 0 unmanaged, 1 running, 1 unresponsive$/m,
  );
  const top = (await socle(["top"], { socket })).stdout;
  assert.match(top, /^2 VMs: 1 unresponsive, 1 running/m);
  assert.match(top, /^web-1 +unresponsive /m);
  const shown = await socle(["vm", "show", "web-1"], { socket });
  assert.match(shown.stdout, /^seen +2s ago; the guest does not respond, and its readings are 2m38s old$/m);
});
