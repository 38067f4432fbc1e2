import assert from "node:assert/strict";
import test from "node:test";
import type { UpdateVmRequest__Output } from "../../../agent/gen/socle/v1/UpdateVmRequest.ts";
import { fakeAgent, socle } from "../../support/cli/fake-agent.ts";
import { operation } from "../../support/cli/samples.ts";

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
