import { fork } from "node:child_process";
import { once } from "node:events";
import { program } from "../support/programs.ts";
import type { TenantsStage } from "./tenants-stage.ts";
import type { FiguresWanted, VictimFigures, VictimOptions } from "./tenants-victim.ts";

/** The victim's reads before the attack, for its p99 at rest. */
export const READS_AT_REST = 400;

/** The victim's reads, measured by a separate process. */
export class Prober {
  readonly #child: ReturnType<typeof fork>;

  static async start({ run, authority, address, victim, host }: TenantsStage): Promise<Prober> {
    const victimProgram = program("test/faults/tenants-victim.ts");
    const child = fork(victimProgram.at(-1) ?? "", { execArgv: victimProgram.slice(0, -1) });
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
