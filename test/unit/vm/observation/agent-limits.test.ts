import assert from "node:assert/strict";
import { test } from "node:test";
import { Topic } from "../../../../agent/kernel/concurrency/topic.ts";
import { silentLog } from "../../../../agent/kernel/log.ts";
import type { LibvirtEvent } from "../../../../agent/libvirt/index.ts";
import { checkSpec } from "../../../../agent/vm/model/spec-check.ts";
import type { Vm } from "../../../../agent/vm/model/vm.ts";
import { agentLimits } from "../../../../agent/vm/observation/agent-limits.ts";
import { withEtag } from "../../../../agent/vm/observation/vm-from-domain.ts";
import { VmTable } from "../../../../agent/vm/observation/vm-table.ts";
import { eventually } from "../../../support/wait.ts";

const idOf = (number: number): string => `6f1c2f1e-0000-4000-8000-00000000000${number}`;

function vmOf(number: number, guestAgent: boolean, changes: Partial<Vm> = {}): Vm {
  const [id, name] = [idOf(number), `vm-${number}`];
  const disks = [{ name: "root", source: { kind: "new", pool: "images", capacityBytes: 2 ** 20 } }];
  const spec = { name, id, vcpus: 1, memoryBytes: 2 ** 30, disks, guestAgent };
  return withEtag({
    ...{ id, name, presence: "present", observedAtMs: 1, state: "running", stateReason: "" },
    ...{ managed: true, vcpus: 1, memoryBytes: 2 ** 30, cells: [], labels: {}, placementEpoch: 0 },
    ...{ tenant: "", spec: checkSpec(spec, { bridges: [], allowSpoofing: false }), disks: [], nics: [] },
    ...changes,
  });
}

test("each agent's wait is limited: at the start, when it connects, and after missed events", async (t) => {
  const events = new Topic<LibvirtEvent>();
  const table = new VmTable();
  const limited: string[] = [];
  const end = new AbortController();
  const service = agentLimits({
    libvirt: { events },
    table,
    agents: {
      limit(id) {
        limited.push(id);
        return id === idOf(1) ? Promise.reject(new Error("libvirt is away")) : Promise.resolve();
      },
    },
    log: silentLog,
  });
  const run = service.run(end.signal, () => undefined);
  t.after(async () => {
    end.abort();
    await run;
  });
  for (const vm of [vmOf(1, true), vmOf(2, true), vmOf(3, false), vmOf(4, true, { state: "stopped" })])
    table.put(vm);
  table.put(vmOf(5, true, { managed: false }));
  table.completed(1);
  await eventually(() => limited.length === 2, { what: "the running guests with agents" });
  assert.deepEqual(limited, [idOf(1), idOf(2)]);
  const domain = { name: "vm-2", uuid: idOf(2), id: 7 };
  const lifecycle = (state: "connected" | "disconnected"): LibvirtEvent => ({
    kind: "agent_lifecycle",
    domain,
    state,
    reason: "channel",
  });
  events.publish(lifecycle("disconnected"));
  events.publish(lifecycle("connected"));
  await eventually(() => limited.length === 3, { what: "the agent that connected" });
  assert.equal(limited[2], idOf(2));
  events.publish({ kind: "resync", family: "hypervisor", reason: "reconnected" });
  await eventually(() => limited.length === 5, { what: "all of them again" });
});
