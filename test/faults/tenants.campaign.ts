// hostile tenants against one victim: rates, memory, operations, audit, events, volumes, networks, addresses, devices
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { status } from "@grpc/grpc-js";
import { asked, campaign } from "./campaign.ts";
import { Chance } from "./fuzz-chance.ts";
import { Prober, READS_AT_REST } from "./tenants-prober.ts";
import type { Outcome } from "./attack-runner.ts";
import type { Act } from "./tenants-act.ts";
import { acts } from "./tenants-acts.ts";
import { proveCreations } from "./tenants-creations.ts";
import { checkDomains } from "./tenants-domains.ts";
import { EventWitness, flooding } from "./tenants-events.ts";
import { checkOperations } from "./tenants-operations.ts";
import { TenantsStage, type HostileTenant } from "./tenants-stage.ts";
import { isSame } from "./witness.ts";

/** The interval of the checks of the victim. */
const TRIES_A_ROUND = 40;
const MOST_TIMES_AT_REST = 3;
/** A p99 of fewer reads is only a few slow ones, also at rest: a short run prints it without a check. */
const READS_TO_JUDGE = 2000;
const MOST_RSS_MIB = 600;
/** Audit entries per try: an admitted change takes two, refusals are counted together. */
const MOST_AUDIT_BYTES_PER_TRY = 64 * 1024;

await campaign({ name: "tenants", count: 1000 }, async (run) => {
  const stage = await TenantsStage.start(run);
  await proveCreations(stage);
  const events = await EventWitness.start(stage);
  const prober = await Prober.start(stage);
  const atRest = await prober.after(Math.min(READS_TO_JUDGE, Math.max(READS_AT_REST, 2 * run.count)));
  const auditBefore = await stage.auditBytes();
  const admitted: string[] = [];
  const byDimension: Record<string, number> = {};
  const refused = new Map<Act, number>();
  let letThrough = 0;
  const seed = asked("--seed") ?? 1;
  run.log(`seed ${seed}`);
  while (run.tries < run.count) {
    const round = Math.min(TRIES_A_ROUND, run.count - run.tries);
    const plan = Array.from({ length: round }, (_, at) => {
      // Acts alternate, so that a short run has all of them.
      const act = acts[(run.tries + at) % acts.length];
      const tenants = act?.by === undefined ? stage.hostile : stage[act.by];
      return { act, tenant: new Chance(seed, run.tries + at).of(tenants) };
    });
    run.tries += round;
    await Promise.all(
      stage.hostile.map(async (tenant) => {
        for (const { act } of plan.filter((one) => one.tenant === tenant)) {
          if (act === undefined) continue;
          byDimension[act.dimension] = (byDimension[act.dimension] ?? 0) + 1;
          const outcome = await outcomeOf(stage, act, tenant);
          if (typeof outcome !== "string") letThrough += 1;
          if (!act.isAdmitted) refused.set(act, (refused.get(act) ?? 0) + (outcome === "refused" ? 1 : 0));
        }
      }),
    );
    admitted.push(...(await checkVictim(stage)));
    await checkOperations(stage);
  }
  for (const [{ dimension, what }, times] of refused)
    run.demand(times > 0, `${dimension}: ${what}: was never refused for its own cause, so it proves nothing`);
  const attacked = await prober.after(1);
  for (const failure of attacked.failures) run.violation(`a read of the victim failed: ${failure}`);
  const ratio = attacked.p99Ms / atRest.p99Ms;
  const isHeld = ratio <= MOST_TIMES_AT_REST || attacked.reads < READS_TO_JUDGE;
  run.demand(isHeld, `the victim's p99 is ${ratio.toFixed(2)} times its own at rest`);
  const auditBytes = (await stage.auditBytes()) - auditBefore;
  run.demand(
    auditBytes <= MOST_AUDIT_BYTES_PER_TRY * run.tries,
    `the audit log grew by ${auditBytes} bytes in ${run.tries} tries`,
  );
  await checkAudit(stage, admitted);
  await events.check(admitted, byDimension[flooding.dimension] !== undefined);
  await checkDomains(stage);
  const mostRssMiB = await peakRssMiB(stage.host.agent.pid);
  run.demand(mostRssMiB <= MOST_RSS_MIB, `the agent took ${mostRssMiB} MiB`);
  return {
    letThrough,
    byDimension,
    victimReads: attacked.reads,
    p99AtRestMs: round2(atRest.p99Ms),
    p99AttackedMs: round2(attacked.p99Ms),
    timesAtRest: round2(ratio),
    auditBytes,
    mostRssMiB,
  };
});

async function outcomeOf(stage: TenantsStage, act: Act, tenant: HostileTenant): Promise<Outcome> {
  const { run } = stage;
  const name = `${act.dimension}: ${act.what} (${tenant.name})`;
  try {
    const outcome = await act.attack(stage, tenant);
    if (typeof outcome !== "string") run.violation(`LET THROUGH: ${name}: ${outcome.letThrough}`);
    return outcome;
  } catch (thrown) {
    const why = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    run.violation(`${name}: ${why}`);
    return { letThrough: why };
  }
}

/** The victim's own changes are admitted and succeed, its guest runs on in its process, and the host takes new VMs. */
async function checkVictim(stage: TenantsStage): Promise<string[]> {
  const { run, victim, contract, operator, host } = stage;
  const done: string[] = [];
  for (const method of [contract.vms.PauseVm, contract.vms.ResumeVm]) {
    const { response, code, reason, message } = await victim.caller.ask(method, {
      requestId: randomUUID(),
      vm: victim.vm.vmId,
    });
    if (response === undefined) {
      run.violation(`${method.path} of the victim is refused: ${status[code]} ${reason} ${message}`);
      continue;
    }
    const { state, error } = await stage.ended(response.operationId);
    run.demand(state === "STATE_SUCCEEDED", `${method.path} of the victim ended ${state}: ${error?.message}`);
    done.push(response.operationId);
  }
  const process = await host.witness.process(victim.vm.vmId);
  run.demand(isSame(stage.victimProcess, process), "the victim's QEMU ended or was replaced");
  const { health } = await operator.get(contract.host.GetHost, {});
  const blamed = health?.blockingConditions.filter((name) => name === "VmStartFailures") ?? [];
  run.demand(blamed.length === 0, "tenants made the host unschedulable with failed starts");
  return done;
}

/** The audit log holds the victim's changes, however many others there are. */
async function checkAudit(stage: TenantsStage, operations: readonly string[]): Promise<void> {
  const { run } = stage;
  const audit = await stage.auditText();
  const lost = operations.filter((id) => !audit.includes(id));
  run.demand(lost.length === 0, `the audit log lacks ${lost.length} of the victim's operations`);
}

async function peakRssMiB(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, "utf8");
  return Math.round(Number(/^VmHWM:\s+(\d+) kB$/m.exec(text)?.[1]) / 1024);
}

function round2(value: number): number {
  return Math.round(value * 100) / 100;
}
