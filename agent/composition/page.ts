import type { Sources } from "../metrics/sources.ts";
import { StatusPage } from "../page/page.ts";
import type { PageSources } from "../page/sources.ts";
import type { Basis } from "./basis.ts";
import type { Hypervisor } from "./hypervisor.ts";
import type { State } from "./state.ts";
import { defined } from "../kernel/defined.ts";

/** The status page, which the metrics server serves; undefined when disabled. */
export function buildPage(
  { config: { metrics }, clock }: Basis,
  { operations, events }: State,
  { host, table: vms, backupReads: backups, sampleIntervalMs }: Hypervisor,
  parts: { links: Pick<Sources, "libvirt" | "scheduler">; directory: string },
): StatusPage | undefined {
  if (metrics.listen === null || !metrics.page) return undefined;
  const links = (): ReturnType<PageSources["links"]> => {
    const scheduler = parts.links.scheduler();
    return defined({ libvirt: parts.links.libvirt().connected, scheduler: scheduler?.connected });
  };
  const nowMs = (): number => clock.now();
  const sources = { vms, host, operations, backups, events, links, sampleIntervalMs, nowMs };
  return new StatusPage({ directory: parts.directory, sources, clock });
}
