import { SocleError } from "../../kernel/errors.ts";
import { Topic } from "../../kernel/concurrency/topic.ts";
import type { HealthHandlers } from "../../gen/grpc/health/v1/Health.ts";
import type { HealthCheckResponse } from "../../gen/grpc/health/v1/HealthCheckResponse.ts";
import type { Methods } from "./handler.ts";

/** Whether the agent serves, by grpc.health.v1: for the agent as a whole ("") and for each service's name. */
export class Health {
  readonly #names: ReadonlySet<string>;
  readonly #changes = new Topic<void>();
  #serving = false;

  constructor(serviceNames: readonly string[]) {
    this.#names = new Set(["", ...serviceNames]);
  }

  setServing(serving: boolean): void {
    if (serving === this.#serving) return;
    this.#serving = serving;
    this.#changes.publish();
  }

  methods(): Methods<HealthHandlers> {
    return {
      Check: ({ service }) => {
        if (this.#names.has(service)) return this.#status(service);
        throw new SocleError("not_found", "SERVICE_UNKNOWN", `this agent has no service ${service}`);
      },
      Watch: ({ service }, { signal }) => this.#watch(service, signal),
    };
  }

  async *#watch(service: string, signal: AbortSignal): AsyncGenerator<HealthCheckResponse, void, undefined> {
    const changes = this.#changes.subscribe(signal, 4);
    let sent = this.#status(service);
    yield sent;
    for await (const _ of changes) {
      const now = this.#status(service);
      if (now.status !== sent.status) yield (sent = now);
    }
  }

  #status(service: string): HealthCheckResponse {
    if (!this.#names.has(service)) return { status: "SERVICE_UNKNOWN" };
    return { status: this.#serving ? "SERVING" : "NOT_SERVING" };
  }
}
