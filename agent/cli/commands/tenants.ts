import type { TenantUsage__Output } from "../../gen/socle/v1/TenantUsage.ts";
import { formatBytes } from "../format.ts";
import type { Command } from "../session.ts";
import { renderTable, type Column } from "../table.ts";

export const listTenants: Command = async (session) => {
  const agent = await session.agent();
  const { tenants, totalSize } = await agent.ask(agent.contract.host.ListTenants, {});
  if (session.json) session.printJson({ tenants, totalSize });
  else if (tenants.length === 0) session.print("no tenants have anything here\n");
  else session.print(renderTable(columns, tenants, session.paint));
  if (totalSize > tenants.length)
    session.note(`${totalSize - tenants.length} more tenants, with fewer VMs, are not shown`);
};

/** `used of limit`; no limit where the tenant has no quota. */
const share = (
  title: string,
  name: string,
  format: (value: number) => string,
): Column<TenantUsage__Output> => ({
  title,
  align: "right",
  cell: ({ dimensions }) => {
    const found = dimensions.find((dimension) => dimension.name === name);
    if (found === undefined) return "-";
    return found.limited ? `${format(found.used)} of ${format(found.limit)}` : format(found.used);
  },
  paint: (text, { dimensions }, paint) => {
    const found = dimensions.find((dimension) => dimension.name === name);
    return found?.limited === true && found.used >= found.limit ? paint("yellow", text) : text;
  },
});

const columns: Column<TenantUsage__Output>[] = [
  { title: "TENANT", cell: ({ tenant }) => tenant },
  share("VMS", "vms", String),
  share("VCPUS", "vcpus", String),
  share("MEMORY", "memory", formatBytes),
  share("DISKS", "disk", formatBytes),
];
