import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Client, credentials, Metadata, type ChannelCredentials, type ServiceError } from "@grpc/grpc-js";
import { fromRpcError } from "../../../../agent/cli/rpc-error.ts";
import type { Contract } from "../../../../agent/contract/load.ts";
import type { AgentProcess } from "../../../support/agent-process.ts";
import { Authority, type Issued } from "../../../scheduler/authority.ts";
import { credentialsOf, secureOptions } from "../../attack-calls.ts";
import { callers } from "../simulated/schedule.ts";
import type { Answered, CallBy } from "../simulated/simulated-agent.ts";

export const DOMAIN = "cloud.example";
const MIB = 2 ** 20;
const DEADLINE_MS = 20_000;

type Message = Readonly<Record<string, unknown>>;

/** The certificates of a schedule's callers. */
export class Certificates {
  readonly authority: Authority;
  readonly host: Issued;
  readonly #schedulers: ReadonlyMap<string, Issued>;

  static async make(): Promise<Certificates> {
    const authority = await Authority.make(DOMAIN);
    const host = await authority.issue("agent/host-1");
    const schedulers = new Map<string, Issued>();
    for (const { name, role, tenant } of callers) {
      if (role !== "scheduler") continue;
      const holder = `scheduler/${name}${tenant === undefined ? "" : `/tenant/${tenant}`}`;
      schedulers.set(name, await authority.issue(holder));
    }
    return new Certificates(authority, host, schedulers);
  }

  private constructor(authority: Authority, host: Issued, schedulers: ReadonlyMap<string, Issued>) {
    this.authority = authority;
    this.host = host;
    this.#schedulers = schedulers;
  }

  /** Undefined: the caller uses the socket. */
  of(caller: string): ChannelCredentials | undefined {
    const issued = this.#schedulers.get(caller);
    return issued && credentialsOf(secureOptions(this.authority.certificatePem, issued));
  }
}

/** One run of the agent's process, with a connection for each caller. */
export class RealAgent {
  /** The agent's own files, read outside the agent. */
  readonly state: { readonly record: { readonly agentEpoch: number; readonly controlEpoch: number } };
  isServing = true;
  readonly #contract: Contract;
  readonly #clients = new Map<string, Client>();
  readonly #names: ReadonlyMap<string, string>;

  constructor(
    agent: AgentProcess,
    { port, stateDirectory }: { readonly port: number; readonly stateDirectory: string },
    { certificates, contract }: { readonly certificates: Certificates; readonly contract: Contract },
  ) {
    this.#contract = contract;
    const path = join(stateDirectory, "host.json");
    this.state = {
      get record() {
        return recordIn(path);
      },
    };
    for (const { name } of callers) {
      const secure = certificates.of(name);
      const address = secure === undefined ? `unix:${agent.socketPath}` : `127.0.0.1:${port}`;
      this.#clients.set(name, clientOf(address, secure ?? credentials.createInsecure()));
    }
    this.#names = new Map(
      callers.map(({ name, tenant }) => [
        `spiffe://${DOMAIN}/scheduler/${name}${tenant === undefined ? "" : `/tenant/${tenant}`}`,
        name,
      ]),
    );
  }

  call(
    method: string,
    request: object,
    { caller, controlEpoch, deliver }: Pick<CallBy, "caller" | "controlEpoch" | "deliver">,
    answered: (answer: Answered) => void,
  ): void {
    const { vms, operations } = this.#contract;
    const definition = method in vms ? vms[method as "GetVm"] : operations[method as "GetOperation"];
    const { path, requestSerialize, responseDeserialize } = definition;
    const metadata = new Metadata();
    if (controlEpoch !== undefined) metadata.set("socle-control-epoch", String(controlEpoch));
    this.#clients
      .get(caller.name)
      ?.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        forReal(method, request),
        metadata,
        { deadline: Date.now() + DEADLINE_MS },
        (error: ServiceError | null, response: unknown) => {
          const answer =
            error === null ? { response: this.#named(response as Message) } : this.#failure(error);
          deliver(() => answered(answer));
        },
      );
  }

  /** As the agent reports it; undefined: no reply. */
  async epoch(): Promise<number | undefined> {
    const { path, requestSerialize, responseDeserialize } = this.#contract.host.GetHost;
    return await new Promise((resolve) => {
      this.#clients
        .get("unix:operator")
        ?.makeUnaryRequest(
          path,
          requestSerialize as (request: object) => Buffer,
          responseDeserialize,
          {},
          { deadline: Date.now() + DEADLINE_MS },
          (_error, host) => resolve(host?.position?.agentEpoch),
        );
    });
  }

  /** Calls `changed` with every change of an operation, until `close`. */
  watchOperations(changed: (operation: Message) => void): void {
    const { path, requestSerialize, responseDeserialize } = this.#contract.operations.WatchOperations;
    const watch = this.#clients
      .get("unix:operator")
      ?.makeServerStreamRequest(
        path,
        requestSerialize as (request: object) => Buffer,
        responseDeserialize as (bytes: Buffer) => unknown,
        {},
        new Metadata(),
      );
    watch?.on("data", (operation: Message) => changed(this.#named(operation)));
    // The stream ends with the agent.
    watch?.on("error", () => undefined);
  }

  /** The agent has ended or is about to. */
  close(): void {
    this.isServing = false;
    for (const client of this.#clients.values()) client.close();
  }

  /** Only an error with the agent's own reason guarantees anything. */
  #failure(error: ServiceError): Answered {
    const { kind, reason } = fromRpcError(this.#contract, error);
    return reason.startsWith("GRPC_") ? { kind: "outcome_unknown", reason } : { kind, reason };
  }

  /** With the callers' names of the schedule. */
  #named(response: Message): Message {
    const name = (operation: Message): Message =>
      typeof operation["caller"] === "string"
        ? { ...operation, caller: this.#names.get(operation["caller"]) ?? operation["caller"] }
        : operation;
    const { operations } = response;
    return name(
      Array.isArray(operations) ? { ...response, operations: (operations as Message[]).map(name) } : response,
    );
  }
}

function clientOf(address: string, by: ChannelCredentials): Client {
  return new Client(address, by, {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.enable_http_proxy": 0,
    "grpc.initial_reconnect_backoff_ms": 50,
    ...(address.startsWith("unix:") ? { "grpc.default_authority": "localhost" } : {}),
  });
}

function recordIn(path: string): { agentEpoch: number; controlEpoch: number } {
  try {
    const { agentEpoch = 0, controlEpoch = 0 } = JSON.parse(readFileSync(path, "utf8")) as Record<
      string,
      number
    >;
    return { agentEpoch, controlEpoch };
  } catch {
    return { agentEpoch: 0, controlEpoch: 0 };
  }
}

/** The current files of the audit log; empty without a log, as in the previous release. */
export function auditLogIn(stateDirectory: string): string {
  const directory = join(stateDirectory, "audit");
  try {
    const names = readdirSync(directory).filter((name) => name.endsWith(".log"));
    return names.map((name) => readFileSync(join(directory, name), "latin1")).join("");
  } catch {
    return "";
  }
}

/** A schedule's request with a guest that costs QEMU nothing and ignores the power button. */
function forReal(method: string, request: object): object {
  if (method === "CreateVm") {
    const { spec, ...rest } = request as { spec: object };
    return { ...rest, spec: { ...spec, memoryBytes: 32 * MIB } };
  }
  if (method === "StopVm") {
    const { gracefulTimeout } = request as { gracefulTimeout: { seconds: number } };
    return { ...request, gracefulTimeout: { seconds: Math.min(1, gracefulTimeout.seconds) } };
  }
  return request;
}
