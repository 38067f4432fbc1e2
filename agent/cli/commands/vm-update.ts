import { specEnums } from "../../contract/spec-enums.ts";
import type { VmSpec } from "../../gen/socle/v1/VmSpec.ts";
import { usageError } from "../errors.ts";
import { mutate, type MutationOptions } from "../follow.ts";
import { parseLabels } from "../labels.ts";
import type { Command } from "../session.ts";
import { machineFields, type MachineFlags } from "../vm-machine-options.ts";
import { withPowerFlags, type PowerFlags } from "../vm-spec.ts";

type CpuMode = (typeof specEnums.cpuMode.words)[number] | "default";

type Options = MutationOptions &
  PowerFlags &
  MachineFlags & {
    readonly label?: readonly string[];
    readonly removeLabel?: readonly string[];
    readonly autostart?: boolean;
    readonly vcpus?: number;
    readonly maxVcpus?: number;
    readonly memory?: number;
    readonly maxMemory?: number;
    readonly cpuMode?: CpuMode;
    readonly cpuModel?: string;
    readonly boot?: string;
    readonly dryRun?: boolean;
  };

/** Labels are changed on those that the VM has now; its etag refuses a change in between. */
export const updateVm: Command = async (session, [name = ""], options: Options) => {
  const { label = [], removeLabel = [], dryRun: validateOnly = false } = options;
  const changesLabels = label.length + removeLabel.length > 0;
  const changed = { ...changedFields(options), ...withPowerFlags({}, options), ...machineFields(options) };
  if (!changesLabels && Object.keys(changed).length === 0)
    throw usageError(
      "name what to change: --label, --remove-label, --[no-]autostart, --start-priority, --start-delay, --crash-policy, --vcpus, --max-vcpus, --memory, --max-memory, --cpu-mode, --cpu-model, --boot, --graphics or --watchdog",
    );
  const agent = await session.agent();
  const vm = await agent.ask(agent.contract.vms.GetVm, { vm: name });
  const kept = Object.entries({ ...vm.labels, ...parseLabels(label) }).filter(
    ([key]) => !removeLabel.includes(key),
  );
  const spec: VmSpec = { ...changed, ...(changesLabels ? { labels: Object.fromEntries(kept) } : {}) };
  const paths = Object.keys(spec).map((field) => maskNames[field] ?? field);
  const request = { vm: name, etag: changesLabels ? vm.etag : "", validateOnly, spec, updateMask: { paths } };
  return await mutate(session, options, ({ vms }) => vms.UpdateVm, request);
};

const maskNames: Readonly<Record<string, string>> = {
  startPriority: "start_priority",
  startDelaySeconds: "start_delay_seconds",
  crashPolicy: "crash_policy",
  maxVcpus: "max_vcpus",
  memoryBytes: "memory_bytes",
  maxMemoryBytes: "max_memory_bytes",
  cpuMode: "cpu_mode",
  cpuModel: "cpu_model",
  bootOrder: "boot_order",
};

/** Mode and model go together: a model is of the mode custom, and any other mode has none. */
function changedFields(options: Options): VmSpec {
  const { autostart, vcpus, maxVcpus, memory, maxMemory, cpuMode, cpuModel, boot } = options;
  const mode = cpuMode ?? (cpuModel === undefined ? undefined : "custom");
  return {
    ...(autostart === undefined ? {} : { autostart }),
    ...(vcpus === undefined ? {} : { vcpus }),
    ...(maxVcpus === undefined ? {} : { maxVcpus }),
    ...(memory === undefined ? {} : { memoryBytes: memory }),
    ...(maxMemory === undefined ? {} : { maxMemoryBytes: maxMemory }),
    ...(mode === undefined
      ? {}
      : {
          cpuMode: mode === "default" ? "CPU_MODE_UNSPECIFIED" : specEnums.cpuMode.toProto(mode),
          cpuModel: cpuModel ?? "",
        }),
    ...(boot === undefined ? {} : { bootOrder: boot === "" ? [] : boot.split(",") }),
  };
}
