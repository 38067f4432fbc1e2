import type { Contract } from "../../../../agent/contract/load.ts";
import type { AgentProcessOptions } from "../../../support/agent-process.ts";
import type { SteppedClock } from "../../stepped-clock.ts";
import { DOMAIN, type Certificates } from "./real-agent.ts";
import type { RealHost } from "./real-host.ts";

/** Shared by every history of a lane. */
export interface Lane {
  readonly bundle: string;
  /** The previous release, with which some histories begin. */
  readonly previous: string | undefined;
  readonly host: RealHost;
  readonly clock: SteppedClock;
  readonly certificates: Certificates;
  readonly trustDirectory: string;
  readonly contract: Contract;
}

/** Selects the release for each start of the agent. */
export function agentOptions(
  { bundle, previous = bundle, host, clock, trustDirectory }: Lane,
  port: number,
  isPrevious: () => boolean,
): AgentProcessOptions {
  const [disk, clockOptions] = [host.disk.agentOptions, clock.agentOptions];
  return {
    get bundle() {
      return isPrevious() ? previous : bundle;
    },
    nodeOptions: [...(disk.nodeOptions ?? []), ...(clockOptions.nodeOptions ?? [])],
    environment: { ...disk.environment, ...clockOptions.environment },
    config: {
      libvirt: { uri: host.agentProxy.uri, callTimeoutSeconds: 3 },
      vm: { accelerator: "tcg", sampleIntervalSeconds: 1 },
      host: { reservedMemoryMiB: 0, cpuOvercommitRatio: 64, memoryOvercommitRatio: 4 },
      state: { directory: host.disk.stateDirectory },
      trust: { domain: DOMAIN, directory: trustDirectory },
      api: { listen: `127.0.0.1:${port}` },
    },
  };
}
