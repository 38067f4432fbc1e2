import { randomUUID } from "node:crypto";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import { methods, type Role } from "../../agent/contract/methods.ts";
import { bootSector } from "../support/socle-host.ts";
import type { Caller } from "./attack-calls.ts";
import type { Theme, Try } from "./attack-runner.ts";
import type { Stage } from "./attack-stage.ts";
import { makeBelongings, marksOf } from "./foreign-belongings.ts";
import { foreignRows } from "./foreign-rows.ts";
import { judgeForeign } from "./foreign.ts";
import { mutation } from "./host.ts";
import { TenantCaller } from "./tenants-stage.ts";

const [VICTIM, SPY] = ["foreign-victim", "foreign-spy"];
const END_WITHIN_MS = 60_000;
const MIB = 2 ** 20;

/** Every role of a tenant at every method that could show or change another tenant's things. */
export async function foreign(stage: Stage): Promise<Theme> {
  const { host, contract, authority, provider } = stage;
  const callers: Caller[] = [];
  const callerOf = async (role: Role, tenant: string): Promise<Caller> => {
    const caller = stage.callerOf(await authority.issue(`${role}/${tenant}/tenant/${tenant}`));
    callers.push(caller);
    return caller;
  };
  const succeeded = async (operation: Operation__Output): Promise<Operation__Output> => {
    const end = await host.ended(operation, END_WITHIN_MS);
    if (end.state !== "STATE_SUCCEEDED") throw new Error(host.describe(end));
    return end;
  };
  const create = async (tenant: string): Promise<string> => {
    const { disks: boot = [] } = bootSector(tenant);
    const newVolume = { pool: "images", capacityBytes: MIB, format: "DISK_FORMAT_QCOW2" } as const;
    const spec = bootSector(tenant, { tenant, disks: [...boot, { name: "data", newVolume }] });
    const request = { requestId: randomUUID(), spec };
    return (await succeeded(await host.client.ask(contract.vms.CreateVm, request))).vmId;
  };
  const [vmId, spy] = [await create(VICTIM), await create(SPY)];
  const metadata = { "socle-person": provider.token() };
  const victim = new TenantCaller(VICTIM, await callerOf("scheduler", VICTIM));
  const belongings = await makeBelongings(VICTIM, {
    contract,
    vm: { vmId, name: VICTIM },
    get: async (method, request) => {
      const { response, reason, message } = await victim.ask(method, request, { metadata });
      if (response === undefined) throw new Error(`${method.path}: ${reason} ${message}`);
      return response;
    },
    succeeded,
  });
  const byRole = new Map<Role, Caller>();
  for (const role of ["viewer", "scheduler", "operator", "auditor", "admin"] as const)
    byRole.set(role, await callerOf(role, SPY));
  const tries = Object.entries(foreignRows).flatMap(([name, row]): Try[] => {
    if ("noneBecause" in row) return [];
    const { roles = [] } = methods[`/socle.v1.${name}`] ?? {};
    return roles.flatMap((role): Try[] => {
      const caller = byRole.get(role);
      if (caller === undefined) return [];
      const ask = (_role: Role, path: string, request: Buffer) => caller.call(path, request, { metadata });
      const whose = { ask, own: { vm: spy, tenant: SPY }, as: role };
      const parts = { contract, belongings, marks: marksOf(belongings) };
      return [{ what: `${role} at ${name}`, attack: () => judgeForeign(name, parts, whose) }];
    });
  });
  return {
    name: "foreign",
    tries,
    check: async () => {
      for (const caller of callers) caller.close();
      for (const vm of [vmId, spy]) await host.succeeds(mutation("DELETE", vm));
      const { images, storage } = contract;
      const [image = ""] = belongings.image;
      const [volume = ""] = belongings.volume;
      await succeeded(
        await host.client.ask(images.DeleteImage, { requestId: randomUUID(), image, tenant: VICTIM }),
      );
      await succeeded(
        await host.client.ask(storage.DeleteVolume, { requestId: randomUUID(), pool: "images", volume }),
      );
    },
  };
}
