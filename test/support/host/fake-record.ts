import type { LastingFacts } from "../../../agent/host/host-service.ts";
import type { HealthRecord } from "../../../agent/state/records/health-record.ts";

/** The stored state that outlives an agent, in memory: give it to the next one. */
export class FakeRecord implements LastingFacts {
  hostId: string | undefined;
  scheduling: LastingFacts["scheduling"] = { state: "active", reason: "" };
  health: HealthRecord = { latches: [], acknowledgements: [] };
  /** The error of every write. */
  failure: Error | undefined;

  constructor(hostId?: string) {
    this.hostId = hostId;
  }

  async setHostId(hostId: string): Promise<void> {
    await this.#write(() => (this.hostId = hostId));
  }

  async setScheduling(scheduling: LastingFacts["scheduling"]): Promise<void> {
    await this.#write(() => (this.scheduling = scheduling));
  }

  async setHealth(health: HealthRecord): Promise<void> {
    await this.#write(() => (this.health = health));
  }

  async #write(change: () => unknown): Promise<void> {
    await Promise.resolve();
    if (this.failure !== undefined) throw this.failure;
    change();
  }
}
