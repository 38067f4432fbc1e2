import * as z from "../../kernel/zod.ts";
import { defineOperation } from "./definition.ts";
import { stampComplete, stampRun } from "./guest-run.ts";
import { known, requireState, settled } from "./vm-state.ts";
import { interrupted, seen, type WorkContext } from "./work.ts";

/** An operation that switches a guest between running and paused. */
export const runSwitch = <Kind extends string>(
  kind: Kind,
  {
    from,
    to,
    participle,
    again,
    step: name,
    beforehand,
    act,
    afterwards,
  }: {
    readonly from: "running" | "paused";
    readonly to: "running" | "paused";
    readonly participle: string;
    /** Advice for an interrupted operation. */
    readonly again: string;
    readonly step: string;
    readonly beforehand: (context: WorkContext, vmId: string) => Promise<void>;
    readonly act: (domains: WorkContext["domains"], vmId: string) => Promise<void>;
    readonly afterwards?: (context: WorkContext, vmId: string) => Promise<void>;
  },
) =>
  defineOperation({
    kind,
    intent: z.object({}),
    lane: "command",
    acceptsRescued: true,
    endState: to,
    admit: () => ({}),
    async run(context, _intent, run) {
      const { vmId, step, resumed } = run;
      const before = resumed ? await settled(context, vmId) : await known(context, vmId);
      if (before.state !== to) {
        if (resumed) throw interrupted(`the VM is ${before.state}; ${again}`);
        requireState(before.state, [from], participle);
        await beforehand(context, vmId);
        await stampRun(context, run);
        await step(name, () => act(context.domains, vmId), 0.8);
        await stampComplete(context, run, true);
      }
      await afterwards?.(context, vmId);
      await seen(context, vmId, (vm) => vm?.state === to);
      return { state: to, was: before.state };
    },
  });
