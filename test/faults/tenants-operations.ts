import { randomUUID } from "node:crypto";
import { status } from "@grpc/grpc-js";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import type { Outcome } from "./attack-runner.ts";
import {
  isByBoundsOfCallers,
  isCausedBy,
  judge,
  describeAnswer,
  type Act,
  type Cause,
} from "./tenants-act.ts";
import { KEPT_BY_HOARDERS, QUOTA, type Tenant, type TenantsStage } from "./tenants-stage.ts";

/** The share of a quota of operations for the tenant's own callers; the rest is the provider's. */
const ownPart = (quota: number): number => Math.ceil((quota * 3) / 4);

const tooMany = (tenant: Tenant, dimension: string, limit: number, used: number): Cause => ({
  code: status.RESOURCE_EXHAUSTED,
  reason: "TOO_MANY_OPERATIONS",
  metadata: { tenant: tenant.name, dimension, limit: String(limit), used: String(used) },
});

export const hoarding: readonly Act[] = [
  {
    dimension: "running operations",
    what: "operations behind one that does not end, until one is refused",
    by: "hoarders",
    attack: runsTooMany,
  },
  {
    dimension: "kept operations",
    what: "operations until its quota is used",
    by: "hoarders",
    attack: keepsTooMany,
  },
];

/** All operations of the host, as an unscoped caller lists them, newest first. */
async function allOperations({ operator, contract }: TenantsStage): Promise<Operation__Output[]> {
  const found: Operation__Output[] = [];
  let pageToken = "";
  do {
    const page = await operator.get(contract.operations.ListOperations, { pageSize: 1000, pageToken });
    found.push(...page.operations);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return found;
}

/** Counted by the tenant of the VM, which created it. */
function byTenant(operations: readonly Operation__Output[]): Map<string, Operation__Output[]> {
  const tenantOf = (caller: string): string => /\/tenant\/(.+)$/.exec(caller)?.[1] ?? "";
  const created = operations.filter(({ kind }) => kind === "CREATE_VM");
  const makers = new Map(created.map(({ vmId, caller }) => [vmId, tenantOf(caller)]));
  const found = new Map<string, Operation__Output[]>();
  for (const operation of operations) {
    const tenant = makers.get(operation.vmId) ?? "";
    found.set(tenant, [...(found.get(tenant) ?? []), operation]);
  }
  return found;
}

async function operationsOf(stage: TenantsStage, { name }: Tenant): Promise<readonly Operation__Output[]> {
  return byTenant(await allOperations(stage)).get(name) ?? [];
}

const resume = ({ contract }: TenantsStage, { caller, vm }: Tenant) =>
  caller.ask(contract.vms.ResumeVm, { requestId: randomUUID(), vm: vm.vmId });

async function runsTooMany(stage: TenantsStage, tenant: Tenant): Promise<Outcome> {
  const { vms, operations } = stage.contract;
  const { caller, vm } = tenant;
  // The guest ignores the stop request, so later operations wait.
  const stop = { requestId: randomUUID(), vm: vm.vmId, gracefulTimeout: { seconds: 60 } };
  const { response: first, ...answer } = await caller.ask(vms.StopVm, stop);
  const limit = ownPart(QUOTA.runningOperations);
  if (first === undefined) return judge(answer, tooMany(tenant, "running_operations", limit, limit));
  const waiting: string[] = [];
  let outcome: Outcome = { letThrough: `${QUOTA.runningOperations + 1} concurrent operations` };
  while (waiting.length < QUOTA.runningOperations) {
    const { response, ...refusal } = await resume(stage, tenant);
    if (response === undefined) {
      outcome = judge(refusal, tooMany(tenant, "running_operations", limit, limit));
      break;
    }
    waiting.push(response.operationId);
  }
  const running = (await operationsOf(stage, tenant)).filter(({ done }) => !done).length;
  await caller.ask(operations.CancelOperation, { operationId: first.operationId });
  for (const operationId of [first.operationId, ...waiting]) await stage.ended(operationId);
  if (typeof outcome === "string" && running > limit) return { letThrough: `${running} run, of ${limit}` };
  return outcome;
}

async function keepsTooMany(stage: TenantsStage, tenant: Tenant): Promise<Outcome> {
  const limit = ownPart(KEPT_BY_HOARDERS);
  for (let made = 0; made <= KEPT_BY_HOARDERS; made += 1) {
    const { response, ...answer } = await resume(stage, tenant);
    if (response !== undefined) {
      await stage.ended(response.operationId);
      continue;
    }
    const kept = (await operationsOf(stage, tenant)).length;
    const cause = tooMany(tenant, "kept_operations", limit, kept);
    // The provider's own operations may exceed the tenant's share.
    const isOther = isByBoundsOfCallers(answer) && answer.reason !== cause.reason;
    if (isOther) return "inert";
    if (!isCausedBy(answer, cause)) return judgeKept(describeAnswer(answer), kept, limit);
    return kept >= limit ? "refused" : judgeKept(describeAnswer(answer), kept, limit);
  }
  return { letThrough: `${KEPT_BY_HOARDERS + 1} more operations are kept` };
}

const judgeKept = (answer: string, kept: number, limit: number): Outcome => ({
  letThrough: `${kept} operations are kept, the limit is ${limit}, and one more gets ${answer}`,
});

/** Checks with an unscoped caller's list that no tenant's own callers exceed the quota of kept or running operations. */
export async function checkOperations(stage: TenantsStage): Promise<void> {
  const found = byTenant(await allOperations(stage));
  for (const { name, mostKept } of stage.hostile) {
    const own = (found.get(name) ?? []).filter(({ caller }) => caller.endsWith(`/tenant/${name}`));
    const running = own.filter(({ done }) => !done).length;
    stage.run.demand(own.length > 0, `the list has no operation of ${name}`);
    stage.run.demand(
      own.length <= mostKept && running <= QUOTA.runningOperations,
      `${name} keeps ${own.length} operations of ${mostKept}, and has ${running} of ${QUOTA.runningOperations} running`,
    );
  }
}
