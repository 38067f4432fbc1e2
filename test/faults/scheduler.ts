import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { connect, type Agent, type Method } from "../../agent/cli/client.ts";
import type { Contract } from "../../agent/contract/load.ts";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import type { VmSpec } from "../../agent/gen/socle/v1/VmSpec.ts";
import { toSocleError, type SocleError } from "../../agent/kernel/errors.ts";
import { bootSector, protoDirectory } from "../support/socle-host.ts";
import type { CampaignRun } from "./campaign.ts";
import type { FaultyHost } from "./host.ts";
import type { GrantedReservation, GrantedReservations } from "./granted-reservations.ts";

const MIB = 2 ** 20;
const ANSWER_WITHIN_MS = 60_000;
const AGAIN_MS = 50;
/** A refused scheduler tries another host first. */
const REFUSED_FOR_MS = 200;
const passing = new Set(["unavailable", "timeout", "cancelled", "outcome_unknown"]);

/** One of several independent schedulers; it repeats each unanswered request unchanged. */
export class Scheduler {
  readonly #run: CampaignRun;
  readonly #host: FaultyHost;
  readonly #grants: GrantedReservations;
  readonly #name: string;
  #client: Agent | undefined;

  constructor(run: CampaignRun, host: FaultyHost, grants: GrantedReservations, index: number) {
    this.#run = run;
    this.#host = host;
    this.#grants = grants;
    this.#name = `scheduler-${index}`;
  }

  async work(): Promise<void> {
    while (this.#run.tries < this.#run.count) {
      this.#run.tries += 1;
      await this.#try();
    }
    this.#client?.close();
  }

  async #try(): Promise<void> {
    const dedicatedCpus = Math.random() < 0.3;
    const vcpus = dedicatedCpus ? 1 : 1 + Math.floor(Math.random() * 2);
    const isShort = Math.random() < 0.1;
    const room = { vcpus, memoryBytes: 32 * MIB, placementRequest: { dedicatedCpus } };
    const seconds = isShort ? 1 : 60;
    const askedMs = performance.now();
    const request = { requestId: randomUUID(), ...room, ttl: { seconds, nanos: 0 } };
    const made = await this.#ask(({ reservations }) => reservations.Reserve, request);
    if (made instanceof Error) {
      this.#refused(made);
      await pause(Math.random() * REFUSED_FOR_MS);
      return;
    }
    // Repeated after a crash, it may have ended meanwhile.
    if (made.state !== "STATE_HELD") return;
    const granted = this.#grants.made(made, askedMs + seconds * 1000);
    if (isShort) await this.#letExpire(granted);
    else if (Math.random() < 0.15) await this.#create(granted, dedicatedCpus);
    else {
      if (Math.random() < 0.2) await this.#renew(granted);
      await this.#release(granted);
    }
  }

  /** "No capacity" is a valid reply only if it names a dimension. */
  #refused(error: SocleError): void {
    const { dimension = "", wanted, ...rest } = error.details.metadata ?? {};
    if (error.reason !== "NO_CAPACITY") throw error;
    this.#grants.counts.refused += 1;
    this.#run.demand(
      Number(rest[`free_${dimension}`]) < Number(wanted),
      `refused for ${dimension}, although there is enough: ${JSON.stringify(error.details.metadata)}`,
    );
  }

  async #renew(granted: GrantedReservation): Promise<void> {
    const askedMs = performance.now();
    const request = { requestId: randomUUID(), reservationId: granted.id, ttl: { seconds: 60, nanos: 0 } };
    const renewed = await this.#ask(({ reservations }) => reservations.RenewReservation, request);
    if (renewed instanceof Error) {
      this.#lost(granted, "renewed", renewed);
      return;
    }
    granted.untilMs = askedMs + 60_000;
    this.#grants.counts.renewed += 1;
  }

  async #release(granted: GrantedReservation): Promise<void> {
    this.#grants.givenBack(granted);
    const request = { requestId: randomUUID(), reservationId: granted.id };
    const released = await this.#ask(({ reservations }) => reservations.ReleaseReservation, request);
    if (released instanceof Error) this.#lost(granted, "released", released);
    else this.#grants.counts.released += 1;
  }

  async #letExpire(granted: GrantedReservation): Promise<void> {
    await pause(1200);
    this.#grants.givenBack(granted);
    this.#grants.counts.expired += 1;
  }

  /** Defined only: its VM has exactly the reserved CPUs, and the same reservation gives them to no other VM. */
  async #create(granted: GrantedReservation, dedicatedCpus: boolean): Promise<void> {
    const name = `${this.#name}-${granted.id.slice(-12)}`;
    const { vcpus, memoryBytes, id: reservationId } = granted;
    const spec = bootSector(name, { vcpus, memoryBytes, placement: { dedicatedCpus } });
    // From now on, also if the agent dies before its reply.
    granted.isTaken = true;
    const begun = await this.#begin(spec, reservationId);
    if (begun instanceof Error) {
      this.#grants.givenBack(granted);
      this.#lost(granted, "consumed", begun);
      return;
    }
    const end = await this.#ended(begun);
    this.#run.demand(
      end.state === "STATE_SUCCEEDED",
      `a reservation's VM was not created: ${this.#host.describe(end)}`,
    );
    this.#grants.counts.created += 1;
    if (dedicatedCpus) {
      const pins = await this.#host.witness.virsh("vcpupin", name, "--config");
      const cpus = [...pins.matchAll(/^\s*\d+\s+(\S+)$/gm)].map(([, cpu]) => Number(cpu));
      this.#run.demand(
        cpus.join() === granted.cpus.join(),
        `VM ${name} is pinned to ${cpus.join()}, CPU ${granted.cpus.join()} was reserved`,
      );
    }
    const twice = await this.#begin({ ...spec, name: `${name}-twice` }, reservationId);
    this.#run.demand(
      twice instanceof Error && twice.reason === "RESERVATION_ENDED",
      `${reservationId} was consumed twice`,
    );
    this.#grants.givenBack(granted);
    const request = { requestId: randomUUID(), vm: begun.vmId, force: true };
    const removal = await this.#ask(({ vms }) => vms.DeleteVm, request);
    if (removal instanceof Error) throw removal;
    const gone = await this.#ended(removal);
    this.#run.demand(gone.state === "STATE_SUCCEEDED", this.#host.describe(gone));
  }

  #begin(spec: VmSpec, reservationId: string): Promise<Operation__Output | SocleError> {
    const request = { requestId: randomUUID(), spec, reservationId, leaveStopped: true };
    return this.#ask(({ vms }) => vms.CreateVm, request);
  }

  async #ended(begun: Operation__Output): Promise<Operation__Output> {
    for (;;) {
      const request = { operationId: begun.operationId, timeout: { seconds: 2, nanos: 0 } };
      const now = await this.#ask(({ operations }) => operations.WaitOperation, request);
      if (now instanceof Error) throw now;
      if (now.done) return now;
    }
  }

  /** A reservation ended before its time. */
  #lost({ id, untilMs }: GrantedReservation, what: string, error: SocleError): void {
    if (performance.now() >= untilMs) return;
    this.#run.violation(`reservation ${id} could not be ${what}: ${error.reason} ${error.message}`);
  }

  /** The reply or the refusal. While the agent is down or without libvirt, the same request is repeated. */
  async #ask<Request, Response>(
    method: (contract: Contract) => Method<Request, Response>,
    request: Request,
  ): Promise<Response | SocleError> {
    const deadlineMs = performance.now() + ANSWER_WITHIN_MS;
    for (;;) {
      try {
        const path = this.#host.agent.socketPath;
        this.#client ??= await connect(
          { kind: "socket", path },
          protoDirectory,
          new AbortController().signal,
        );
        return await this.#client.ask(method(this.#client.contract), request);
      } catch (thrown) {
        const error = toSocleError(thrown);
        const { retryAfterMs } = error.details;
        if (error.kind === "exhausted" && retryAfterMs !== undefined) {
          await pause(retryAfterMs);
          continue;
        }
        if (!passing.has(error.kind)) return error;
        if (performance.now() > deadlineMs) throw error;
        this.#client?.close();
        this.#client = undefined;
        await pause(AGAIN_MS);
      }
    }
  }
}
