import type { ConditionContext } from "./condition.ts";
import { agentConditions } from "./agent.ts";
import { bondConditions } from "./bond.ts";
import { certificateConditions } from "./certificate.ts";
import { clockConditions } from "./clock.ts";
import { diskConditions } from "./disk.ts";
import { fanAndPsuConditions } from "./fan-and-psu.ts";
import { filesystemConditions } from "./filesystem.ts";
import { memoryErrorConditions, pcieConditions } from "./hardware-errors.ts";
import { hypervisorConditions } from "./hypervisor.ts";
import { kernelFaultConditions } from "./kernel-fault.ts";
import { memoryConditions } from "./memory.ts";
import { thermalConditions } from "./thermal.ts";

/** The conditions of a host, a file per group. Made anew for each host, since some keep state. */
export const hostConditions = (context: ConditionContext) => ({
  ...hypervisorConditions(context),
  ...filesystemConditions(context),
  ...memoryConditions(context),
  ...thermalConditions(context),
  ...fanAndPsuConditions(context),
  ...memoryErrorConditions(context),
  ...pcieConditions(context),
  ...kernelFaultConditions(context),
  ...diskConditions(context),
  ...bondConditions(context),
  ...clockConditions(context),
  ...certificateConditions(context),
  ...agentConditions(context),
});

export type HostConditions = ReturnType<typeof hostConditions>;
export type ConditionType = keyof HostConditions;
