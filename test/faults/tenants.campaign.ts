// hostile tenants beside one victim: rates, memory, operations, audit, events, volumes, networks, addresses, devices
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { status } from "@grpc/grpc-js";
import { asked, campaign, type CampaignRun } from "./campaign.ts";
import { Chance } from "./fuzz-chance.ts";
import { Prober, READS_AT_REST } from "./tenants-prober.ts";
import { acts, type Act } from "./tenants-acts.ts";
import { COMMON_NETWORK, QUOTA, TenantsStage, type Tenant } from "./tenants-stage.ts";
import { isSame } from "./witness.ts";

/** Between looks at the victim. */
const TRIES_A_ROUND = 40;
const MOST_TIMES_AT_REST = 3;
/** A p99 of fewer reads, at rest too, is its few slowest ones: a short run prints it and does not judge it. */
const READS_TO_JUDGE = 2000;
const MOST_RSS_MIB = 600;
/** Of the audit log, for each try: an admitted change takes two entries, refusals are counted together. */
const MOST_AUDIT_BYTES_PER_TRY = 64 * 1024;

await campaign({ name: "tenants", count: 1000 }, async (run) => {
  const stage = await TenantsStage.start(run);
  await proveActs(stage);
  const prober = await Prober.start(stage);
  const atRest = await prober.after(Math.min(READS_TO_JUDGE, Math.max(READS_AT_REST, 2 * run.count)));
  const auditBefore = await stage.auditBytes();
  const admitted: string[] = [];
  const byDimension: Record<string, number> = {};
  let letThrough = 0;
  const seed = asked("--seed") ?? 1;
  run.say(`seed ${seed}`);
  while (run.tries < run.count) {
    const round = Math.min(TRIES_A_ROUND, run.count - run.tries);
    const plan = Array.from({ length: round }, (_, at) => ({
      // Each act comes in turn, so that a short run has them all.
      act: acts[(run.tries + at) % acts.length],
      tenant: new Chance(seed, run.tries + at).of(stage.hostile),
    }));
    run.tries += round;
    await Promise.all(
      stage.hostile.map(async (tenant) => {
        for (const { act } of plan.filter((one) => one.tenant === tenant)) {
          if (act === undefined) continue;
          byDimension[act.dimension] = (byDimension[act.dimension] ?? 0) + 1;
          if (!(await holds(run, stage, act, tenant))) letThrough += 1;
        }
      }),
    );
    admitted.push(...(await checkVictim(stage)));
  }
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
  await checkRecords(stage, admitted);
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

/** What is refused to a tenant is sound: the operator may have it. Otherwise the refusals would show nothing. */
async function proveActs(stage: TenantsStage): Promise<void> {
  const [tenant] = stage.hostile;
  if (tenant === undefined) throw new Error("there is no hostile tenant");
  const ownRules: ReadonlySet<string> = new Set(["networks", "addresses"]);
  for (const { dimension, what, spec } of acts) {
    if (spec === undefined || !ownRules.has(dimension) || what.includes("bridge")) continue;
    if (what.includes("anti-spoofing")) continue;
    const request = {
      requestId: randomUUID(),
      spec: spec(stage, tenant),
      leaveStopped: true,
      validateOnly: true,
    };
    const { code, reason, message } = await stage.operator.ask(stage.contract.vms.CreateVm, request);
    stage.run.demand(
      code === status.OK,
      `${dimension}: ${what}: is refused to the operator too, so it proves nothing: ${reason} ${message}`,
    );
  }
}

async function holds(run: CampaignRun, stage: TenantsStage, act: Act, tenant: Tenant): Promise<boolean> {
  const name = `${act.dimension}: ${act.what} (${tenant.name})`;
  try {
    const outcome = await act.attack(stage, tenant);
    if (typeof outcome === "string") return true;
    run.violation(`LET THROUGH: ${name}: ${outcome.letThrough}`);
  } catch (thrown) {
    run.violation(`${name}: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}`);
  }
  return false;
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
  run.demand(isSame(stage.victimProcess, process), "the victim's QEMU is another one, or none");
  const { health } = await operator.get(contract.host.GetHost, {});
  const blamed = health?.notSchedulableBy.filter((name) => name === "VmStartFailures") ?? [];
  run.demand(blamed.length === 0, "tenants made the host unschedulable by starts that fail");
  return done;
}

/** The audit log and the events hold what the victim did, however much others did. */
async function checkRecords(stage: TenantsStage, operations: readonly string[]): Promise<void> {
  const { run } = stage;
  const audit = await stage.auditText();
  const lost = operations.filter((id) => !audit.includes(id));
  run.demand(lost.length === 0, `the audit log does not hold ${lost.length} of the victim's operations`);
}

/** What virsh shows: no tenant has more than its quota, another's network, or a MAC that is on the host twice. */
async function checkDomains({ run, host, hostile, victim }: TenantsStage): Promise<void> {
  const names = (await host.witness.virsh("list", "--all", "--name"))
    .split("\n")
    .filter((name) => name !== "");
  const macs: string[] = [];
  const byTenant = new Map<string, { vms: number; vcpus: number; memoryKib: number }>();
  for (const name of names) {
    const xml = await host.witness.virsh("dumpxml", "--inactive", name);
    const tenant = /<socle:tenant>([^<]*)<\/socle:tenant>/.exec(xml)?.[1] ?? "";
    macs.push(...[...xml.matchAll(/<mac address=['"]([^'"]+)/g)].map(([, mac = ""]) => mac));
    if (tenant === victim.name) continue;
    const networks = [...xml.matchAll(/<source network=['"]([^'"]+)/g)].map(([, network]) => network);
    run.demand(
      networks.every((network) => network === COMMON_NETWORK) &&
        !/<source bridge=|<hostdev|<hugepages/.test(xml),
      `domain ${name} of ${tenant} has what its tenant may not have`,
    );
    const sum = byTenant.get(tenant) ?? { vms: 0, vcpus: 0, memoryKib: 0 };
    byTenant.set(tenant, {
      vms: sum.vms + 1,
      vcpus: sum.vcpus + Number(/<vcpu[^>]*>(\d+)</.exec(xml)?.[1]),
      memoryKib: sum.memoryKib + Number(/<memory unit=['"]KiB['"]>(\d+)</.exec(xml)?.[1]),
    });
  }
  run.demand(new Set(macs).size === macs.length, "a MAC address is on the host twice");
  for (const { name } of hostile) {
    const { vms, vcpus, memoryKib } = byTenant.get(name) ?? { vms: 0, vcpus: 0, memoryKib: 0 };
    const within = vms <= QUOTA.vms && vcpus <= QUOTA.vcpus && memoryKib <= QUOTA.memoryMiB * 1024;
    run.demand(within, `${name} has ${vms} VMs, ${vcpus} vCPUs and ${memoryKib} KiB, more than its quota`);
  }
}

async function peakRssMiB(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, "utf8");
  return Math.round(Number(/^VmHWM:\s+(\d+) kB$/m.exec(text)?.[1]) / 1024);
}

function round2(value: number): number {
  return Math.round(value * 100) / 100;
}
