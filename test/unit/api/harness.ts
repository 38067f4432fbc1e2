import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import {
  Client,
  credentials,
  Metadata,
  type ChannelCredentials,
  type ClientOptions,
  type ServiceError,
} from "@grpc/grpc-js";
import type { MethodDefinition } from "@grpc/proto-loader";
import type { ConsoleStream, Doors } from "../../../agent/api/doors.ts";
import type { AuditDoor } from "../../../agent/api/call-audit.ts";
import type { Act, AuditLog } from "../../../agent/audit/index.ts";
import type { PeopleDoor } from "../../../agent/api/people.ts";
import { loadProtos } from "../../../agent/api/protos.ts";
import { ApiServer } from "../../../agent/api/server.ts";
import { configSchema, type Config } from "../../../agent/config/schema.ts";
import type { HostSnapshot, HostUsage } from "../../../agent/host/host.ts";
import { systemClock, type Clock } from "../../../agent/kernel/clock.ts";
import { createLog, type Logger } from "../../../agent/kernel/log.ts";
import { Topic } from "../../../agent/kernel/topic.ts";
import { Ledger } from "../../../agent/host/ledger.ts";
import { Reservations } from "../../../agent/host/reservations.ts";
import { ReservationBook } from "../../../agent/state/reservation-book.ts";
import { EventLog } from "../../../agent/state/event-log.ts";
import type { Behalf } from "../../../agent/state/operation.ts";
import { Operations } from "../../../agent/state/operations.ts";
import { Position } from "../../../agent/state/position.ts";
import { withEtag } from "../../../agent/vm/vm-from-domain.ts";
import { VmTable } from "../../../agent/vm/vm-table.ts";
import type { Vm } from "../../../agent/vm/vm.ts";
import type { Trust } from "../../../agent/trust/index.ts";
import { noTrust } from "../trust/no-trust.ts";

export const protos = loadProtos(fileURLToPath(new URL("../../../proto", import.meta.url)));

export const vm = (id: string, changes: Partial<Vm> = {}): Vm =>
  withEtag({
    id,
    name: `name-${id}`,
    presence: "present",
    observedAtMs: 1_700_000_000_123,
    state: "running",
    stateReason: "BOOTED",
    managed: true,
    vcpus: 1,
    memoryBytes: 2 ** 30,
    cells: [],
    tenant: "",
    labels: {},
    placementEpoch: 0,
    disks: [],
    nics: [],
    ...changes,
  });

export const hostSnapshot: HostSnapshot = {
  identity: {
    id: "11111111-2222-4333-8444-555555555555",
    hostname: "host-a",
    agentVersion: "1.2.3",
    vendor: "",
    model: "",
    serial: "",
    os: "Debian",
    kernel: "6.12",
    bootId: "boot-1",
    agentStartedAtMs: 1_700_000_000_000,
    labels: { rack: "r1" },
  },
  inventory: {
    complete: true,
    incompleteReasons: [],
    cells: [{ id: 0, cpus: [0, 1], memoryBytes: 2 ** 34, pages: [], distances: [10] }],
    storagePools: [],
    networks: [{ name: "default", bridge: "virbr0", active: true, presence: "unknown", observedAtMs: 1_000 }],
    devices: [],
    traits: ["kvm"],
  },
  capacity: {
    complete: true,
    incompleteReasons: [],
    generation: 1,
    dedicatedCpus: [],
    devices: [],
    cells: [
      {
        id: 0,
        resources: [
          {
            resource: "cpu",
            total: 2,
            reserved: 0,
            allocated: 0,
            claimed: 0,
            unhealthy: 0,
            overcommitRatio: 4,
            available: 8,
            min: 1,
            max: 8,
            step: 1,
          },
          {
            resource: "memory",
            total: 2 ** 34,
            reserved: 2 ** 30,
            allocated: 0,
            claimed: 0,
            unhealthy: 0,
            overcommitRatio: 1,
            available: 15 * 2 ** 30,
            min: 2 ** 20,
            max: 15 * 2 ** 30,
            step: 2 ** 20,
          },
        ],
      },
    ],
  },
  health: {
    state: "none",
    conditions: [],
    alive: "true",
    schedulable: "true",
    safeToFence: "false",
    notSchedulableBy: [],
  },
  scheduling: { state: "active", reason: "" },
};

/** A host that a test changes at will. */
export class FakeHost {
  readonly #changes = new Topic<void>();
  now: HostSnapshot = hostSnapshot;

  snapshot(): HostSnapshot {
    return this.now;
  }

  subscribe(signal: AbortSignal) {
    return this.#changes.subscribe(signal);
  }

  change(next: Partial<HostSnapshot>): void {
    this.now = { ...this.now, ...next };
    this.#changes.publish();
  }

  usage(): HostUsage {
    return {
      readAtMs: 1000,
      cpuBusyRatio: 0.25,
      memoryTotalBytes: 8e9,
      memoryAvailableBytes: 2e9,
      cells: [],
    };
  }

  setScheduling(state: "active" | "cordoned", reason: string): Promise<void> {
    this.change({ scheduling: { state, reason } });
    return Promise.resolve();
  }

  acknowledge(condition: string): Promise<void> {
    const { health } = this.now;
    const conditions = health.conditions.filter(({ type }) => type !== condition);
    this.change({ health: { ...health, conditions } });
    return Promise.resolve();
  }
}

export interface Harness {
  readonly socket: string;
  readonly tcpPort: number | undefined;
  readonly table: VmTable;
  readonly host: FakeHost;
  readonly operations: Operations;
  readonly events: EventLog;
  readonly position: Position;
  readonly api: ApiServer;
  readonly logged: Record<string, unknown>[];
  /** What went into the audit log; a test may put another `record` in place of it. */
  readonly audited: Act[];
  readonly audit: { -readonly [Name in keyof AuditDoor]: AuditDoor[Name] };
  /** What the fake of vm/vms.ts was asked, by method. */
  readonly asked: [string, unknown, string][];
  /** What a test puts in place of a door's method. */
  readonly vms: { -readonly [Name in keyof Doors["vms"]]: Doors["vms"][Name] };
  stop(): Promise<void>;
}

/** An API server on a socket of its own, over real tables and logs, with fakes for what needs a hypervisor. */
export async function startApi(
  t: TestContext,
  config: Partial<Config["api"]> = {},
  trust: Trust = noTrust,
  controlEpochs: Doors["controlEpochs"] = { controlEpoch: 0, raiseControlEpoch: () => Promise.resolve() },
  people: Partial<PeopleDoor> = {},
  auditLog?: AuditLog,
): Promise<Harness> {
  const directory = await mkdtemp(join(tmpdir(), "socle-api-"));
  const logged: Record<string, unknown>[] = [];
  const log: Logger = createLog({
    level: "debug",
    destination: { write: (line) => void logged.push(JSON.parse(line) as Record<string, unknown>) },
  });
  const clock = systemClock;
  const operations = await Operations.open({ directory, clock, log, retentionMs: 3_600_000 });
  const events = await EventLog.open({ directory, maxEvents: 1000, agentEpoch: 7, clock, log });
  const table = new VmTable();
  table.completed(1_700_000_000_000);
  const host = new FakeHost();
  const audited: Act[] = [];
  const note = (act: Act): void => void audited.push(act);
  const audit: Harness["audit"] = {
    note,
    noteRepeatable: note,
    record: (act) => Promise.resolve(audited.push(act)),
  };
  const position = new Position({ agentEpoch: 7 });
  const asked: Harness["asked"] = [];
  const mutate =
    (kind: string) => async (request: { requestId: string; behalf?: Behalf | undefined }, caller: string) => {
      asked.push([kind, request, caller]);
      const { requestId, behalf } = request;
      const begun = { requestId, caller, behalf, kind, vmId: "v", fingerprint: "f", intent: {} };
      return (await operations.begin(begun)).operation;
    };
  const vms: Harness["vms"] = {
    create: mutate("CREATE_VM"),
    start: mutate("START_VM"),
    stop: mutate("STOP_VM"),
    reboot: mutate("REBOOT_VM"),
    pause: mutate("PAUSE_VM"),
    resume: mutate("RESUME_VM"),
    delete: mutate("DELETE_VM"),
    openConsole: () => Promise.reject(new Error("no console in this test")),
  };
  const reservations = await reservationsOf(directory, clock, log);
  const socket = join(directory, "agent.sock");
  const api = new ApiServer({
    config: { ...configSchema.parse({}).api, socket, ...config },
    protos,
    doors: {
      vmView: table,
      vms,
      operations,
      reservations,
      defaultAccelerator: () => "tcg",
      events,
      host,
      controlEpochs,
      audit: auditLog ?? {
        state: { sequence: 0, bytes: 0, waiting: 0, refused: 0 },
        page: () => Promise.reject(new Error("no audit log in this test")),
        checkpoint: () => Promise.reject(new Error("no audit log in this test")),
      },
      trust: {
        state: () => ({ domain: null }),
        enroll: () => Promise.reject(new Error("no enrollment in this test")),
      },
      position: () => ({ bootId: "boot-1", agentEpoch: 7, generation: position.generation }),
    },
    trust,
    audit: auditLog ?? audit,
    people: {
      rules: configSchema.parse({}).people,
      verify: () => {
        throw new Error("no people in this test");
      },
      brokeGlass: () => undefined,
      ...people,
    },
    clock,
    log,
    stopTimeoutMs: 500,
  });
  const end = new AbortController();
  let done: Promise<void> = Promise.resolve();
  const stop = async (): Promise<void> => {
    end.abort();
    await done.catch(() => undefined);
    await operations.drain(0);
    await events.flush();
  };
  // In this order: an event that is still being written would make its directory anew.
  t.after(async () => {
    await stop();
    await rm(directory, { recursive: true, force: true });
  });
  await new Promise<void>((resolve, reject) => {
    done = api.run(end.signal, resolve);
    done.catch(reject);
  });
  api.setServing(true);
  const { tcpPort } = api;
  const logs = { logged, audited, audit };
  return { socket, tcpPort, table, host, operations, events, position, api, ...logs, asked, vms, stop };
}

/** Of a host with one cell of four CPUs, two of them dedicated, and 16 GiB. */
async function reservationsOf(directory: string, clock: Clock, log: Logger): Promise<Reservations> {
  const policy = {
    reservedCpus: 0,
    reservedMemoryBytes: 0,
    cpuOvercommitRatio: 4,
    memoryOvercommitRatio: 1,
    dedicatedCpus: [2, 3],
  };
  const ledger = new Ledger({
    policy,
    scheduling: () => ({ state: "active", reason: "" }),
    clock,
    changed: () => undefined,
  });
  ledger.setCells([{ id: 0, cpus: [0, 1, 2, 3], memoryBytes: 2 ** 34, pages: [], distances: [10] }]);
  ledger.setFootprints([], true);
  const boot = { bootId: "boot-1", ms: () => clock.monotonicMs() };
  const book = await ReservationBook.open({ directory, clock, boot, log, retentionMs: 3_600_000 });
  return new Reservations({
    book,
    ledger,
    clock,
    log,
  });
}

/** What a client needs of a method. */
type Callable<Request, Response> = Pick<
  MethodDefinition<Request, unknown, unknown, Response>,
  "path" | "requestSerialize" | "responseDeserialize"
>;

/** A client of the server, closed when the test ends. */
export class ApiClient {
  readonly client: Client;

  constructor(t: TestContext, address: string, options: ClientOptions = {}, secured?: ChannelCredentials) {
    this.client = new Client(address, secured ?? credentials.createInsecure(), {
      "grpc.use_local_subchannel_pool": 1,
      ...options,
    });
    t.after(() => this.client.close());
  }

  call<Request, Response>(
    method: Callable<Request, Response>,
    request: NoInfer<Request>,
    timeoutMs = 5000,
    said: Readonly<Record<string, string | string[]>> = {},
  ): Promise<Response> {
    const metadata = new Metadata();
    for (const [key, values] of Object.entries(said))
      for (const value of [values].flat()) metadata.add(key, value);
    return new Promise((resolve, reject) => {
      this.client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        metadata,
        { deadline: Date.now() + timeoutMs },
        (error: ServiceError | null, response?: Response) => {
          if (error !== null) reject(error);
          else if (response !== undefined) resolve(response);
        },
      );
    });
  }

  stream<Request, Response>(method: Callable<Request, Response>, request: NoInfer<Request>) {
    return this.client.makeServerStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
    );
  }

  bidi<Request, Response>(method: Callable<Request, Response>) {
    return this.client.makeBidiStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
    );
  }
}

export interface CallError {
  readonly code: number;
  readonly message: string;
  readonly info: {
    readonly reason: string;
    readonly domain: string;
    readonly metadata: Record<string, string>;
  };
  readonly retryMs: number | undefined;
  readonly fields: Record<string, string>;
}

/** The error that a call ends with, its google.rpc details decoded. */
export async function errorOf(call: Promise<unknown>): Promise<CallError> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown as ServiceError,
  );
  if (error === undefined) throw new Error("the call succeeded");
  const encoded = error.metadata.get("grpc-status-details-bin")[0];
  if (!(encoded instanceof Buffer)) throw new Error(`no details: ${error.message}`);
  const status = protos.status.deserialize(encoded);
  const detail = (type: string): Buffer | undefined =>
    status.details.find(({ type_url: url }) => url === `type.googleapis.com/google.rpc.${type}`)?.value;
  const info = detail("ErrorInfo");
  const retry = detail("RetryInfo");
  const bad = detail("BadRequest");
  const delay = retry === undefined ? undefined : protos.retryInfo.deserialize(retry).retryDelay;
  const violations = bad === undefined ? [] : protos.badRequest.deserialize(bad).fieldViolations;
  if (info === undefined) throw new Error("no ErrorInfo");
  return {
    code: status.code,
    message: status.message,
    info: protos.errorInfo.deserialize(info),
    retryMs: delay == null ? undefined : delay.seconds * 1000 + delay.nanos / 1e6,
    fields: Object.fromEntries(violations.map(({ field, description }) => [field, description])),
  };
}

/** A console whose guest echoes; `type` and `end` are the guest's side. */
export class FakeConsole implements ConsoleStream {
  readonly typed: string[] = [];
  aborted = false;
  #output: string[] = [];
  #ended = false;
  #wake: () => void = () => undefined;

  say(text: string): void {
    this.#output.push(text);
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  write(input: Uint8Array): Promise<void> {
    this.typed.push(Buffer.from(input).toString());
    return Promise.resolve();
  }

  abort(): Promise<void> {
    this.aborted = true;
    this.#wake();
    return Promise.resolve();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const text = this.#output.shift();
      if (text !== undefined) yield Buffer.from(text);
      else if (this.aborted) throw new Error("the stream was aborted");
      else if (this.#ended) return;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
