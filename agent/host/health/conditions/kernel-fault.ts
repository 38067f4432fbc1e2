import type { KernelFaultKind } from "../../../hardware/system/kernel-fault.ts";
import type { KernelLog } from "../../../hardware/system/kernel-log.ts";
import { bad, good, type Verdict } from "../trigger.ts";
import { MINUTE, SECOND, watching, type ConditionContext, type ConditionTable } from "./condition.ts";

const FAULTS: ReadonlySet<KernelFaultKind> = new Set(["oops", "lockup", "hung_task"]);
/** Task names of QEMU, libvirt's daemons and their threads: at most 15 characters (prio-rpc-libvir). */
const HYPERVISOR_TASK =
  /^(qemu|kvm|CPU \d+\/KVM|IO (mon_)?iothread|vhost|libvirtd|virt[a-z]+d$|(prio-)?rpc-(libvir|virt))/;

export const kernelFaultConditions = ({ config }: ConditionContext) => {
  const withinMs = config.health.kernelFaultSeconds * SECOND;
  return {
    KernelFault: {
      any: watching("kernelLog", { reason: "KernelFault", effect: "degraded" }, (log) =>
        faultVerdict(log, withinMs, () => true),
      ),
      hypervisor: watching("kernelLog", { reason: "HypervisorKernelFault", effect: "no_schedule" }, (log) =>
        faultVerdict(log, withinMs, (task) => HYPERVISOR_TASK.test(task)),
      ),
    },
  } satisfies ConditionTable;
};

/** Ends this long after the last fault, and at the next boot. */
export function faultVerdict(
  { faults }: KernelLog,
  withinMs: number,
  isMeant: (task: string) => boolean,
): Verdict {
  const found = faults.filter(
    ({ kind, ageMs, task }) => FAULTS.has(kind) && ageMs < withinMs && isMeant(task ?? ""),
  );
  const newest = found.at(-1);
  const window = `within ${minutes(withinMs)} min`;
  if (newest === undefined) return good(`no oops, lockup or hung task ${window}`);
  return bad(`${found.length} ${window}; ${minutes(newest.ageMs)} min ago: ${newest.text}`);
}

const minutes = (ms: number): number => Math.floor(ms / MINUTE);
