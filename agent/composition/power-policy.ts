import type { Libvirt } from "../libvirt/index.ts";
import type { NewEvent } from "../state/events/event.ts";
import type { Domains } from "../vm/hypervisor/domains.ts";
import type { VmTable } from "../vm/observation/vm-table.ts";
import { Autostart } from "../vm/operations/autostart.ts";
import { CrashRestarts } from "../vm/operations/crash-restarts.ts";
import { AGENT, OwnStarts, type OwnStart, type StartAnswer } from "../vm/operations/own-starts.ts";
import type { Vms } from "../vm/operations/vms.ts";
import type { Basis } from "./basis.ts";
import type { State } from "./state.ts";

interface Parts {
  readonly libvirt: Libvirt;
  readonly domains: Domains;
  readonly table: VmTable;
  readonly vms: Vms;
  readonly publish: (event: NewEvent) => void;
}

/** The starts that the agent begins itself: after the host's boot, and after a guest's crash. */
export function buildPowerPolicy(
  { config, clock, log }: Basis,
  { record, operations, audit, bootId }: State,
  { libvirt, domains, table, vms, publish }: Parts,
): { readonly autostart: Autostart; readonly crashRestarts: CrashRestarts } {
  const admit = async ({ vm, requestId, cause }: OwnStart): Promise<(answer: StartAnswer) => void> => {
    const about = {
      caller: { name: AGENT, role: AGENT },
      method: "/socle.v1.VmService/StartVm",
      requestId,
      vm: vm.id,
      ...(vm.tenant === "" ? {} : { tenant: vm.tenant }),
    };
    const details = { cause };
    const of = await audit.record({ act: "call_admitted", ...about, details, outcome: "allowed" });
    return (answer) =>
      audit.note({
        act: "call_ended",
        of,
        ...about,
        ...answer,
        outcome: "reason" in answer ? "refused" : "done",
      });
  };
  const starts = new OwnStarts({ vms, operations, admit, clock });
  const common = { operations, starts, table, publish, clock, log };
  return {
    autostart: new Autostart({ ...common, bootId, record, libvirt, domains }),
    crashRestarts: new CrashRestarts({ ...common, mostPerHour: config.vm.crashRestartsPerHour }),
  };
}
