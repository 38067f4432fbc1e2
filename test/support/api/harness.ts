import { SocleError } from "../../../agent/kernel/errors.ts";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { ServiceDependencies } from "../../../agent/api/services/dependencies.ts";
import type { AuditRecorder } from "../../../agent/api/call-audit.ts";
import type { Act, Actor, AuditLog } from "../../../agent/audit/index.ts";
import type { OutboxBounds } from "../../../agent/api/limits/outbox.ts";
import type { PersonVerifier } from "../../../agent/api/auth/people.ts";
import { ApiServer } from "../../../agent/api/server.ts";
import { configSchema, type Config } from "../../../agent/config/schema.ts";
import { systemClock, type Clock } from "../../../agent/kernel/clock.ts";
import { createLog, type Logger } from "../../../agent/kernel/log.ts";
import { Ledger } from "../../../agent/host/capacity/ledger.ts";
import { Reservations } from "../../../agent/host/capacity/reservations.ts";
import { ControlEpochs } from "../../../agent/state/records/control-epochs.ts";
import { ReservationBook } from "../../../agent/state/reservations/reservation-book.ts";
import { EventLog } from "../../../agent/state/events/event-log.ts";
import type { Behalf } from "../../../agent/state/operations/operation.ts";
import { Operations } from "../../../agent/state/operations/operations.ts";
import { Position } from "../../../agent/state/records/position.ts";
import type { ImageStore } from "../../../agent/vm/images/image-store.ts";
import { VmTable } from "../../../agent/vm/observation/vm-table.ts";
import type { Trust } from "../../../agent/trust/index.ts";
import { noTrust } from "../trust/no-trust.ts";
import { protos } from "./client.ts";
import { FakeHost } from "./fakes.ts";
import { readsWithoutBackups } from "../vm/backup-reads.ts";
import { storeOfNothing } from "../vm/image-parts.ts";

export * from "./client.ts";
export * from "./fakes.ts";

export interface Harness {
  readonly socket: string;
  readonly tcpPort: number | undefined;
  readonly table: VmTable;
  readonly host: FakeHost;
  readonly operations: Operations;
  readonly events: EventLog;
  readonly position: Position;
  readonly api: ApiServer;
  /** The dependencies of its services. */
  readonly dependencies: ServiceDependencies;
  readonly imageStore: ImageStore;
  readonly logged: Record<string, unknown>[];
  /** The audited entries; a test may replace `record`. */
  readonly audited: Act[];
  readonly audit: { -readonly [Name in keyof AuditRecorder]: AuditRecorder[Name] };
  /** The calls to the fake of vm/operations/vms.ts, by method. */
  readonly requests: [string, unknown, string][];
  /** A test's replacements of a service's methods. */
  readonly vms: { -readonly [Name in keyof ServiceDependencies["vms"]]: ServiceDependencies["vms"][Name] };
  stop(): Promise<void>;
}

/** A refusal as the agent's own: an unknown error would be its defect. */
const none = (what: string): SocleError =>
  new SocleError("not_found", "NOT_IN_TEST", `no ${what} in this test`);

/**
 * An API server on its own socket, over real tables and logs, with fakes for the parts that need a
 * hypervisor.
 */
export async function startApi(
  t: TestContext,
  config: Partial<Config["api"]> = {},
  trust: Trust = noTrust,
  controlEpochs: ServiceDependencies["controlEpochs"] = keptEpochs(0),
  people: Partial<PersonVerifier> = {},
  auditLog?: AuditLog,
  outbox: Partial<OutboxBounds> = {},
  clock: Clock = systemClock,
  earlierState?: string,
): Promise<Harness> {
  const directory = await mkdtemp(join(tmpdir(), "socle-api-"));
  if (earlierState !== undefined) await cp(earlierState, directory, { recursive: true });
  const logged: Record<string, unknown>[] = [];
  const log: Logger = createLog({
    level: "debug",
    destination: { write: (line) => void logged.push(JSON.parse(line) as Record<string, unknown>) },
  });
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
  const requests: Harness["requests"] = [];
  const mutate =
    (kind: string) => async (request: { requestId: string; behalf?: Behalf | undefined }, caller: string) => {
      requests.push([kind, request, caller]);
      const { requestId, behalf } = request;
      const begun = { requestId, caller, behalf, kind, vmId: "v", fingerprint: "f", intent: {} };
      return (await operations.begin(begun)).operation;
    };
  const upload: ServiceDependencies["images"]["upload"] = async (request, _source, caller) => ({
    operation: await mutate("IMPORT_IMAGE")(request, caller),
    forget: () => undefined,
  });
  const vms: Harness["vms"] = {
    create: mutate("CREATE_VM"),
    begin: async (kind, request, caller, isVisible) => {
      const vm = table.get(request.vm);
      if (vm !== undefined && isVisible?.(vm) === false)
        throw new SocleError("not_found", "VM_NOT_FOUND", request.vm);
      return await mutate(kind)(request, caller);
    },
    settle: async (id, as, caller) =>
      await operations.settle(
        id,
        as === "done"
          ? { state: "succeeded", result: { settled_by: caller } }
          : { state: "failed", error: new SocleError("conflict", "SETTLED_BY_PERSON", caller) },
      ),
    openConsole: () => Promise.reject(none("console")),
    guest: () => {
      throw new SocleError("unavailable", "GUEST_AGENT_NOT_CONNECTED", "no guest in this test");
    },
  };
  const imageStore = storeOfNothing();
  await imageStore.refresh();
  const reservations = await reservationsOf(directory, clock, log);
  const socket = join(directory, "agent.sock");
  const dependencies: ServiceDependencies = {
    vmView: table,
    vms,
    screens: {
      require: () => undefined,
      connect: () => Promise.reject(none("screen")),
      screenshot: () => {
        throw none("screen");
      },
    },
    backups: readsWithoutBackups({ clock, log }),
    images: {
      import: mutate("IMPORT_IMAGE"),
      upload,
      delete: mutate("DELETE_IMAGE"),
      hold: () => () => undefined,
    },
    poolVolumes: {
      create: mutate("CREATE_VOLUME"),
      resize: mutate("RESIZE_VOLUME"),
      delete: mutate("DELETE_VOLUME"),
    },
    imageStore,
    operations,
    reservations,
    defaultAccelerator: () => "tcg",
    networksOf: (tenant) => [`${tenant}-net`, "shared-net"],
    events,
    host,
    controlEpochs,
    audit: auditLog ?? {
      state: { sequence: 0, bytes: 0, waiting: 0, refused: 0 },
      page: () => Promise.reject(none("audit log")),
      checkpoint: () => Promise.reject(none("audit log")),
    },
    trust: {
      state: () => ({ domain: null }),
      enroll: () => Promise.reject(none("enrollment")),
    },
    position: () => ({ bootId: "boot-1", agentEpoch: 7, generation: position.generation }),
  };
  const api = new ApiServer({
    config: { ...configSchema.parse({}).api, socket, ...config },
    protos,
    dependencies,
    trust,
    audit: auditLog ?? audit,
    people: {
      rules: configSchema.parse({}).people,
      verify: () => {
        throw none("people");
      },
      brokeGlass: () => undefined,
      ...people,
    },
    clock,
    log,
    stopTimeoutMs: 500,
    outbox,
  });
  const end = new AbortController();
  let done: Promise<void> = Promise.resolve();
  const stop = async (): Promise<void> => {
    end.abort();
    await done.catch(() => undefined);
    await operations.drain(0);
    await events.flush();
  };
  // In this order: an event that is still being written would create its directory again.
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
  return {
    socket,
    tcpPort,
    table,
    host,
    operations,
    events,
    position,
    api,
    dependencies,
    imageStore,
    ...logs,
    requests,
    vms,
    stop,
  };
}

/** Control epochs in memory; `raised` lists each raise. */
export function keptEpochs(
  from: number,
): ServiceDependencies["controlEpochs"] & { readonly raised: number[] } {
  const raised: number[] = [];
  let controlEpoch = from;
  const epochs = new ControlEpochs<Actor>(
    {
      get controlEpoch() {
        return controlEpoch;
      },
      get controlFence() {
        return { epoch: controlEpoch, resets: 0 };
      },
      raiseControlEpoch: (epoch) => {
        controlEpoch = Math.max(controlEpoch, epoch);
        return Promise.resolve();
      },
      resetControlEpoch: (epoch) => {
        controlEpoch = epoch;
        return Promise.resolve();
      },
    },
    ({ to }) => Promise.resolve(raised.push(to)),
  );
  return {
    raised,
    get controlEpoch() {
      return controlEpoch;
    },
    raise: (epoch, by) => epochs.raise(epoch, by),
    reset: (epoch) => epochs.reset(epoch),
  };
}

/** The capacity of a host with one cell of four CPUs, two of them dedicated, and 16 GiB. */
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
