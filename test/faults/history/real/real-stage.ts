import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadContract } from "../../../../agent/contract/load.ts";
import { protoDirectory } from "../../../support/socle-host.ts";
import { installTrust } from "../../../scheduler/authority.ts";
import type { CampaignRun } from "../../campaign.ts";
import { SteppedClock } from "../../stepped-clock.ts";
import { check } from "../checker.ts";
import { withEpochProbes } from "../simulated/epoch-probes.ts";
import { scheduleOf, type Schedule } from "../simulated/schedule.ts";
import { withSecondTenant } from "../simulated/second-tenant.ts";
import type { Played } from "../simulated/shrink.ts";
import type { Lane } from "./lane.ts";
import { Certificates } from "./real-agent.ts";
import { RealHistory } from "./real-history.ts";
import { RealHost } from "./real-host.ts";

/** The bundles of a history's agents. */
export type Bundles = Pick<Lane, "bundle" | "previous">;

/** A host for real histories, one after another, with its own libvirtd, disk and certificates. */
export class RealStage {
  readonly #lane: Omit<Lane, keyof Bundles>;

  static async open(run: CampaignRun): Promise<RealStage> {
    const trustDirectory = await mkdtemp(join(tmpdir(), "socle-interleave-trust-"));
    run.cleanUp(() => rm(trustDirectory, { recursive: true, force: true }));
    const certificates = await Certificates.make();
    const { authority, host: issued } = certificates;
    await installTrust(trustDirectory, authority, issued, await authority.revocationList());
    const [clock, contract] = [await SteppedClock.make(run), loadContract(protoDirectory)];
    const host = await RealHost.start(run);
    return new RealStage({ host, clock, certificates, trustDirectory, contract });
  }

  private constructor(lane: Omit<Lane, keyof Bundles>) {
    this.#lane = lane;
  }

  /** Plays the schedule against the agent of `bundles` and checks the history. */
  async play(schedule: Schedule, bundles: Bundles): Promise<Played> {
    const { history, failures } = await new RealHistory({ ...this.#lane, ...bundles }, schedule).play();
    return { history, violations: [...failures, ...check(history)] };
  }
}

/** The schedule of a seed's real history. */
export const realScheduleOf = (seed: number): Schedule => withEpochProbes(withSecondTenant(scheduleOf(seed)));
