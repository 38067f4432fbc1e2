import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { TenantsStage } from "./tenants-stage.ts";
import type { FiguresWanted, VictimFigures, VictimOptions } from "./tenants-victim.ts";

/** The victim's reads before the attack, for its p99 at rest. */
export const READS_AT_REST = 400;

/** The victim's reads, measured by a separate process. */
export class Prober {
  readonly #child: ReturnType<typeof fork>;

  static async start({ run, authority, address, victim, host }: TenantsStage): Promise<Prober> {
    const child = fork(join(import.meta.dirname, "tenants-victim.ts"), { execArgv: ["--import", "tsx"] });
    run.cleanUp(() => {
      if (child.connected) child.disconnect();
      return Promise.resolve();
    });
    await once(child, "spawn");
    const options: VictimOptions = {
      address,
      ca: authority.certificatePem,
      issued: await authority.issue("viewer/victim/tenant/victim"),
      vmId: victim.vm.vmId,
      agentPid: host.agent.pid,
    };
    child.send(options);
    const prober = new Prober(child);
    // The first reads warm up the process and the agent.
    await prober.after(READS_AT_REST);
    return prober;
  }

  private constructor(child: ReturnType<typeof fork>) {
    this.#child = child;
  }

  /** The figures since the last call, once there are at least so many reads. */
  async after(reads: number): Promise<VictimFigures> {
    const wanted: FiguresWanted = { reads };
    this.#child.send(wanted);
    const [figures] = (await once(this.#child, "message")) as [VictimFigures];
    return figures;
  }
}
