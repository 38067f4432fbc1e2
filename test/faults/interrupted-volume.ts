import { randomUUID } from "node:crypto";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import type { CampaignRun } from "./campaign.ts";
import type { FaultyHost } from "./host.ts";
import { interrupted } from "./interruption.ts";
import type { Killer } from "./killer.ts";

const MIB = 2 ** 20;

export const lifeOfAVolume = ["MAKE VOLUME", "GROW VOLUME", "DROP VOLUME"] as const;
export type VolumeAct = (typeof lifeOfAVolume)[number];

/** A volume of no VM whose every operation is interrupted by the agent's death. */
export class VolumeVictim {
  readonly #run: CampaignRun;
  readonly #host: FaultyHost;
  #step = 0;
  #mib = 1;

  constructor(run: CampaignRun, host: FaultyHost) {
    this.#run = run;
    this.#host = host;
  }

  async suffer(killer: Killer): Promise<void> {
    const run = this.#run;
    const act = lifeOfAVolume[this.#step % lifeOfAVolume.length] ?? "MAKE VOLUME";
    this.#step += 1;
    if (act === "MAKE VOLUME") this.#mib = 1;
    if (act === "GROW VOLUME") this.#mib += 1;
    const trap = await killer.set(act);
    run.log(`${run.tries}/${run.count} ${act}, ${trap.what}`);
    const requestId = randomUUID();
    const end = await interrupted(run, this.#host, {
      killer,
      trap,
      begin: () => this.#begin(act, requestId),
    });
    const isDone = end.state === "STATE_SUCCEEDED";
    const bytes = await this.#bytes();
    const wanted = act === "DROP VOLUME" ? undefined : this.#mib * MIB;
    run.demand(
      isDone && bytes === wanted,
      `${act}, ${trap.what}: ${this.#host.describe(end)}, and the volume has ${bytes ?? "no"} bytes`,
    );
  }

  /** A run may end in the middle of its life. */
  async clear(): Promise<void> {
    if ((await this.#bytes()) === undefined) return;
    await this.#host.ended(await this.#begin("DROP VOLUME", randomUUID()), 60_000);
  }

  #begin(act: VolumeAct, requestId: string): Promise<Operation__Output> {
    const { client } = this.#host;
    const { storage } = client.contract;
    const of = { requestId, pool: "images", volume: `${NAME}.qcow2` };
    const capacityBytes = this.#mib * MIB;
    switch (act) {
      case "MAKE VOLUME":
        return client.ask(storage.CreateVolume, { requestId, pool: "images", name: NAME, capacityBytes });
      case "GROW VOLUME":
        return client.ask(storage.ResizeVolume, { ...of, capacityBytes });
      case "DROP VOLUME":
        return client.ask(storage.DeleteVolume, of);
    }
  }

  /** As virsh has it; undefined: it is not there. */
  async #bytes(): Promise<number | undefined> {
    const { witness } = this.#host;
    const names = await witness.virsh("vol-list", "images");
    if (!names.includes(NAME)) return undefined;
    const info = await witness.virsh("vol-info", "--bytes", "--pool", "images", `${NAME}.qcow2`);
    return Number(/^Capacity: +(\d+) bytes$/m.exec(info)?.[1]);
  }
}

const NAME = "loose";
