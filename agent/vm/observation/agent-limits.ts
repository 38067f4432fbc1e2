import { toSocleError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/log.ts";
import type { Service } from "../../kernel/lifecycle/service.ts";
import type { Libvirt } from "../../libvirt/index.ts";
import { isActive } from "../hypervisor/domains.ts";
import type { GuestAgents } from "../hypervisor/guest-agents.ts";
import type { Vm } from "../model/vm.ts";
import type { VmTable } from "./vm-table.ts";

/**
 * Limits libvirt's wait for each guest agent: when it connects, and for all at the agent's start and after missed events.
 * Each limit is set before the agent's first use, which includes a shutdown.
 */
export function agentLimits(options: {
  readonly libvirt: Pick<Libvirt, "events">;
  readonly table: VmTable;
  readonly agents: Pick<GuestAgents, "limit">;
  readonly log: Logger;
}): Service {
  const { libvirt, table, agents, log } = options;
  const limit = async (vm: Vm | undefined): Promise<void> => {
    if (vm?.managed !== true || vm.spec?.guestAgent !== true || !isActive(vm)) return;
    try {
      await agents.limit(vm.id);
    } catch (thrown) {
      log.debug({ vm: vm.id, err: toSocleError(thrown) }, "the wait for a guest agent is not limited");
    }
  };
  const all = async (signal: AbortSignal): Promise<void> => {
    await table.untilComplete(signal);
    for (const { id } of table.all()) await limit(table.get(id));
  };
  return {
    name: "guest agent limits",
    async run(signal, ready) {
      const events = libvirt.events.subscribe(signal, 1000);
      ready();
      try {
        await all(signal);
        for await (const item of events) {
          if (item.kind === "overflow" || item.value.kind === "resync") await all(signal);
          else if (item.value.kind === "agent_lifecycle" && item.value.state === "connected")
            await limit(table.get(item.value.domain.uuid));
        }
      } catch (thrown) {
        if (!signal.aborted) throw thrown;
      }
    },
  };
}
