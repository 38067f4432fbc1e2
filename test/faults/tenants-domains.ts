import { COMMON_NETWORK, DEDICATED_CPU, QUOTA, type TenantsStage } from "./tenants-stage.ts";

/** A domain's exclusive resources, from its XML. */
export function exclusiveHoldings(xml: string): readonly string[] {
  const cpuSets = [...xml.matchAll(/ cpuset=['"]([^'"]*)/g)].map(([, set = ""]) => set);
  return [
    ...(/<vcpupin /.test(xml) || cpuSets.some(holdsDedicated) ? ["dedicated CPUs"] : []),
    ...(/<hugepages/.test(xml) ? ["huge pages"] : []),
    ...(/<hostdev/.test(xml) ? ["a device of the host"] : []),
    ...(/<source bridge=/.test(xml) ? ["a bridge of the host"] : []),
  ];
}

/** Parses libvirt's list format: 0,2-5,^3. */
function holdsDedicated(set: string): boolean {
  const parts = set.split(",");
  if (parts.includes(`^${DEDICATED_CPU}`)) return false;
  return parts.some((part) => {
    const [first = "", last = first] = part.split("-");
    return Number(first) <= DEDICATED_CPU && DEDICATED_CPU <= Number(last);
  });
}

/** Checks with virsh that no tenant exceeds its quota, has resources of the host or of others, or a duplicate MAC address. */
export async function checkDomains({ run, host, hostile, victim }: TenantsStage): Promise<void> {
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
    const networks = [...xml.matchAll(/<source network=['"]([^'"]+)/g)].map(([, network = ""]) => network);
    const foreign = networks.filter((network) => network !== COMMON_NETWORK);
    // The persistent and the live definition.
    const now = await host.witness.virsh("dumpxml", name);
    const taken = new Set([...foreign, ...exclusiveHoldings(xml), ...exclusiveHoldings(now)]);
    run.demand(taken.size === 0, `domain ${name} of ${tenant} has ${[...taken].join()}`);
    const sum = byTenant.get(tenant) ?? { vms: 0, vcpus: 0, memoryKib: 0 };
    byTenant.set(tenant, {
      vms: sum.vms + 1,
      vcpus: sum.vcpus + Number(/<vcpu[^>]*>(\d+)</.exec(xml)?.[1]),
      memoryKib: sum.memoryKib + Number(/<memory unit=['"]KiB['"]>(\d+)</.exec(xml)?.[1]),
    });
  }
  run.demand(new Set(macs).size === macs.length, "a MAC address is on the host twice");
  for (const { name } of hostile) {
    const own = byTenant.get(name);
    if (own === undefined) {
      run.violation(`virsh shows no VM of ${name}`);
      continue;
    }
    const { vms, vcpus, memoryKib } = own;
    const within = vms <= QUOTA.vms && vcpus <= QUOTA.vcpus && memoryKib <= QUOTA.memoryMiB * 1024;
    run.demand(within, `${name} has ${vms} VMs, ${vcpus} vCPUs and ${memoryKib} KiB, more than its quota`);
  }
}
