import assert from "node:assert/strict";
import test from "node:test";
import type { UpdateVmRequest__Output } from "../../../agent/gen/socle/v1/UpdateVmRequest.ts";
import { fakeAgent, socle } from "../../support/cli/fake-agent.ts";
import { operation, vm } from "../../support/cli/samples.ts";
import { endsWith, running } from "../../support/cli/change-stage.ts";

test("an update names the fields of its options, and only those", async (context) => {
  const requests: UpdateVmRequest__Output[] = [];
  const socket = await fakeAgent(context, {
    vms: {
      GetVm: (_call, done) => done(null, { name: "web-1", labels: {} }),
      UpdateVm: (call, done) => {
        requests.push(call.request);
        done(null, operation({}));
      },
    },
  });
  const update = async (...options: string[]): Promise<number> =>
    (await socle(["vm", "update", "web-1", ...options], { socket })).exitCode;
  assert.equal(await update("--autostart", "--start-priority", "7", "--start-delay", "90s"), 0);
  assert.equal(await update("--crash-policy", "restart"), 0);
  assert.equal(await update("--start-priority", "0"), 0);
  assert.equal(await update(), 2);
  assert.equal(await update("--crash-policy", "always"), 2);
  const shown = requests.map(({ spec, updateMask }) => {
    const { autostart, startPriority, startDelaySeconds, crashPolicy } = spec ?? {};
    return [updateMask?.paths, autostart, startPriority, startDelaySeconds, crashPolicy];
  });
  const none = "CRASH_POLICY_UNSPECIFIED";
  assert.deepEqual(shown, [
    [["autostart", "start_priority", "start_delay_seconds"], true, 7, 90, none],
    [["crash_policy"], false, 0, 0, "CRASH_POLICY_RESTART"],
    [["start_priority"], false, 0, 0, none],
  ]);
});

test("flags become the fields of the mask, and a change of nothing is a usage error", async (context) => {
  const asked: { paths: unknown; values: Record<string, unknown>; etag: string }[] = [];
  const socket = await fakeAgent(context, {
    vms: {
      GetVm: (_call, done) => done(null, vm()),
      UpdateVm({ request: { spec, updateMask, etag } }, done) {
        const { vcpus, maxVcpus, memoryBytes, maxMemoryBytes, cpuMode, cpuModel, bootOrder, labels } =
          spec ?? {};
        const sizes = { vcpus, maxVcpus, memoryBytes, maxMemoryBytes };
        const values = { ...sizes, cpuMode, cpuModel, bootOrder, labels };
        asked.push({ paths: updateMask?.paths, values, etag });
        done(null, running);
      },
    },
    operations: endsWith(
      operation({ kind: "UPDATE_VM", result: { applies: "at the next start", at_next_start: "cpu_model" } }),
    ),
  });
  const update = async (...flags: string[]) => await socle(["vm", "update", "web-1", ...flags], { socket });
  const { stdout } = await update(
    "--vcpus",
    "4",
    "--max-vcpus",
    "8",
    "--memory",
    "8GiB",
    "--max-memory",
    "16GiB",
    "--boot",
    "root,front",
  );
  assert.match(stdout, /at_next_start: cpu_model/);
  await update("--cpu-model", "EPYC-Rome", "--label", "a=b");
  await update("--cpu-mode", "default", "--boot", "");
  const sizes = { vcpus: 0, maxVcpus: 0, memoryBytes: 0, maxMemoryBytes: 0 };
  const none = { ...sizes, cpuMode: "CPU_MODE_UNSPECIFIED", cpuModel: "", bootOrder: [], labels: {} };
  assert.deepEqual(JSON.parse(JSON.stringify(asked)), [
    {
      paths: ["vcpus", "max_vcpus", "memory_bytes", "max_memory_bytes", "boot_order"],
      values: {
        ...none,
        vcpus: 4,
        maxVcpus: 8,
        memoryBytes: 8 * 2 ** 30,
        maxMemoryBytes: 16 * 2 ** 30,
        bootOrder: ["root", "front"],
      },
      etag: "",
    },
    {
      paths: ["cpu_mode", "cpu_model", "labels"],
      values: {
        ...none,
        cpuMode: "CPU_MODE_CUSTOM",
        cpuModel: "EPYC-Rome",
        labels: { tier: "front", a: "b" },
      },
      etag: "e1",
    },
    { paths: ["cpu_mode", "cpu_model", "boot_order"], values: none, etag: "" },
  ]);
  const nothing = await update();
  assert.deepEqual([nothing.exitCode, asked.length], [2, 3]);
  assert.match(nothing.stderr, /--vcpus/);
});

test("vm show tells asked, given and seen apart", async (context) => {
  const shown = {
    ...vm(),
    spec: { ...vm().spec, vcpus: 4, maxVcpus: 8, memoryBytes: 2 ** 30, bootOrder: ["nic0", "root"] },
    stats: { ...vm().stats, memoryBalloonBytes: 2 ** 30 },
  };
  const socket = await fakeAgent(context, { vms: { GetVm: (_call, done) => done(null, shown) } });
  const { stdout } = await socle(["vm", "show", "web-1"], { socket });
  assert.match(stdout, /^vcpus +2 \(4 asked for\), maximum 8$/m);
  assert.match(
    stdout,
    /^memory +1\.5 GiB \(1 GiB asked for, 1 GiB in the guest now; the rest counts until the next start\)$/m,
  );
  assert.match(stdout, /^boot order +nic0, root$/m);
  const growing = { ...shown, spec: { ...shown.spec, maxMemoryBytes: 4 * 2 ** 30 } };
  const grows = await fakeAgent(context, { vms: { GetVm: (_call, done) => done(null, growing) } });
  const { stdout: more } = await socle(["vm", "show", "web-1"], { socket: grows });
  assert.match(
    more,
    /^memory +1\.5 GiB \(1 GiB asked for, 1 GiB in the guest now; the rest counts until the next start\), maximum 4 GiB$/m,
  );
});
