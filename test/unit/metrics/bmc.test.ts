import assert from "node:assert/strict";
import test from "node:test";
import { NOT_INSTALLED } from "../../../agent/hardware/reading.ts";
import { systemClock } from "../../../agent/kernel/clock.ts";
import { silentLog } from "../../../agent/kernel/log.ts";
import { hostBmc } from "../../../agent/metrics/collectors/sensors.ts";
import { Exposition } from "../../../agent/metrics/render.ts";
import { fixedReadings, fixedSources } from "../../support/metrics/fixed-sources.ts";

/** The line that shows whether the BMC answers, after a read that failed with this code. */
async function up(code?: string): Promise<string | undefined> {
  const failed = { kind: "failed", reason: "why", ...(code === undefined ? {} : { code }) } as const;
  const states = () => [{ name: "bmc", state: "failed", reason: "why" } as const];
  const exposition = new Exposition({
    collectors: [hostBmc()],
    disabled: [],
    sources: fixedSources({ readings: { ...fixedReadings({}), last: () => failed, states } }),
    clock: systemClock,
    log: silentLog,
  });
  const pieces = await exposition.render("text", { collect: [], exclude: [] }, 10_000);
  return /^socle_host_bmc_up .*$/m.exec(Buffer.concat(pieces).toString())?.[0];
}

test("a BMC that does not answer is down; one that the agent may not query has no sample", async () => {
  assert.equal(await up(), "socle_host_bmc_up 0");
  assert.equal(await up("EACCES"), undefined);
  assert.equal(await up(NOT_INSTALLED), undefined);
});
