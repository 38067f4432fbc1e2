import { foreignRows } from "./foreign-rows.ts";
import { judgeForeign } from "./foreign.ts";
import { marksOf } from "./foreign-belongings.ts";
import type { Act } from "./tenants-act.ts";
import type { CampaignRun } from "./campaign.ts";
import { TenantsStage, VICTIM_NETWORK } from "./tenants-stage.ts";

/** One act for each method of the contract that could show or change another tenant's things. */
export const foreign: readonly Act[] = Object.entries(foreignRows).flatMap(([name, row]): Act[] =>
  "noneBecause" in row
    ? []
    : [
        {
          dimension: "identity",
          what: `the victim's things by ${name}`,
          attack: ({ contract, belongings }, tenant) =>
            judgeForeign(
              name,
              { contract, belongings, marks: [...marksOf(belongings), VICTIM_NETWORK] },
              {
                ask: async (role, path, request) => (await tenant.as(role)).call(path, request),
                own: { vm: tenant.vm.vmId, tenant: tenant.name },
              },
            ),
        },
      ],
);

/** All these acts of one tenant, against the agent of `bundle`. */
export async function playForeign(run: CampaignRun, bundle: string): Promise<void> {
  const stage = await TenantsStage.start(run, { bundle, tenants: 1 });
  for (const tenant of stage.hostile)
    for (const { what, attack } of foreign) {
      run.tries += 1;
      const outcome = await attack(stage, tenant);
      if (typeof outcome !== "string") run.violation(`${what}: ${outcome.letThrough}`);
    }
}
