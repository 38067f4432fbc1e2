import { usageError } from "../errors.ts";
import { mutate, type MutationOptions } from "../follow.ts";
import { parseLabels } from "../labels.ts";
import type { Command } from "../session.ts";
import { withPowerFlags, type PowerFlags } from "../vm-spec.ts";

type Options = MutationOptions &
  PowerFlags & {
    readonly label?: readonly string[];
    readonly removeLabel?: readonly string[];
    readonly autostart?: boolean;
    readonly dryRun?: boolean;
  };

const maskPaths = {
  startPriority: "start_priority",
  startDelaySeconds: "start_delay_seconds",
  crashPolicy: "crash_policy",
} as const;

/** Labels are changed on those that the VM has now; its etag refuses a change in between. */
export const updateVm: Command = async (session, [name = ""], options: Options) => {
  const { label = [], removeLabel = [], autostart, dryRun: validateOnly = false } = options;
  const changesLabels = label.length + removeLabel.length > 0;
  const power = withPowerFlags({}, options);
  const paths = [
    ...(changesLabels ? ["labels"] : []),
    ...(autostart === undefined ? [] : ["autostart"]),
    ...Object.keys(power).map((field) => maskPaths[field as keyof typeof power]),
  ];
  if (paths.length === 0)
    throw usageError(
      "name what to change: --label, --remove-label, --autostart, --no-autostart, --start-priority, --start-delay or --crash-policy",
    );
  const agent = await session.agent();
  const vm = await agent.ask(agent.contract.vms.GetVm, { vm: name });
  const kept = Object.entries({ ...vm.labels, ...parseLabels(label) }).filter(
    ([key]) => !removeLabel.includes(key),
  );
  const spec = { labels: Object.fromEntries(kept), autostart: autostart ?? false, ...power };
  const request = { vm: name, etag: changesLabels ? vm.etag : "", validateOnly, spec, updateMask: { paths } };
  return await mutate(session, options, ({ vms }) => vms.UpdateVm, request);
};
