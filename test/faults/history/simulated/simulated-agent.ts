import { EventEmitter, setMaxListeners } from "node:events";
import { join } from "node:path";
import { Metadata } from "@grpc/grpc-js";
import { Admission } from "../../../../agent/api/limits/admission.ts";
import { AuditBudget } from "../../../../agent/api/limits/audit-budget.ts";
import { CallAudit } from "../../../../agent/api/call-audit.ts";
import { Calls } from "../../../../agent/api/calls.ts";
import { controlEpochKey } from "../../../../agent/api/auth/control-epoch.ts";
import type { ServiceDependencies } from "../../../../agent/api/services/dependencies.ts";
import { ErrorEncoder } from "../../../../agent/api/convert/errors.ts";
import { noCaller, type Caller } from "../../../../agent/api/auth/identity.ts";
import { outboxBounds, Outbox } from "../../../../agent/api/limits/outbox.ts";
import { operationService } from "../../../../agent/api/services/operation-service.ts";
import { loadContract } from "../../../../agent/contract/load.ts";
import { FairTurns } from "../../../../agent/kernel/concurrency/fair-turns.ts";
import { RequestShapes } from "../../../../agent/api/limits/request-shapes.ts";
import { vmService } from "../../../../agent/api/services/vm-service.ts";
import { buildLease, vmHostOf } from "../../../../agent/composition/hypervisor.ts";
import { openState, type State } from "../../../../agent/composition/state.ts";
import { parseConfig } from "../../../../agent/config/load.ts";
import type { Config } from "../../../../agent/config/schema.ts";
import { tenantRules } from "../../../../agent/config/tenants.ts";
import { Ledger } from "../../../../agent/host/capacity/ledger.ts";
import { Reservations } from "../../../../agent/host/capacity/reservations.ts";
import { systemClock as clock } from "../../../../agent/kernel/clock.ts";
import { toSocleError, type ErrorKind } from "../../../../agent/kernel/errors.ts";
import { createLog, silentLog } from "../../../../agent/kernel/log.ts";
import { runServices, type Service } from "../../../../agent/kernel/lifecycle/service.ts";
import type { Libvirt } from "../../../../agent/libvirt/index.ts";
import { Domains } from "../../../../agent/vm/hypervisor/domains.ts";
import { footprintFeed } from "../../../../agent/vm/observation/footprints.ts";
import { GuestKeys } from "../../../../agent/vm/keys/guest-keys.ts";
import { KeyWrap } from "../../../../agent/vm/keys/key-wrap.ts";
import { Networks } from "../../../../agent/vm/hypervisor/networks.ts";
import { Observer } from "../../../../agent/vm/observation/observer.ts";
import { Settler } from "../../../../agent/vm/operations/recovery.ts";
import { VmTable } from "../../../../agent/vm/observation/vm-table.ts";
import { Vms } from "../../../../agent/vm/operations/vms.ts";
import { Volumes } from "../../../../agent/vm/storage/volumes.ts";
import { imagePartsOf } from "../../../support/vm/image-parts.ts";
import type { ModelLibvirt } from "../libvirt-model.ts";

const protos = loadContract(join(import.meta.dirname, "../../../../proto"));
const shapes = new RequestShapes(protos.descriptorSet);
const defaults = parseConfig("", "defaults").config;
const config: Config = { ...defaults, state: { ...defaults.state, directory: "/simulated/socle/state" } };
/** It has no trust domain. */
const noRevocations = { listTimes: {}, note: (): void => undefined };
const GIB = 1024 ** 3;
const SERVICE_STOP_MS = 5000;
const much = { perSecond: 1000, atOnce: 1000 };
const limits = { read: much, wait: much, mutation: much, stream: much, control: much };

export interface Answered {
  readonly response?: Readonly<Record<string, unknown>>;
  readonly kind?: ErrorKind;
  readonly reason?: string;
}

type Handler = (call: unknown, respond: (error: object | null, bytes?: Buffer) => void) => void;

/** A host's agent in this process: its real code from the API's calls to libvirt's, without sockets. */
export class SimulatedAgent {
  readonly state: State;
  readonly table = new VmTable();
  readonly #handlers: Readonly<Record<string, Handler>>;
  readonly #services: readonly Service[];
  readonly #errors: KeptErrors;
  readonly #admission = new WatchedAdmission(limits, clock);
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();
  isServing = false;

  static async open(libvirt: ModelLibvirt): Promise<SimulatedAgent> {
    const environment = {};
    const log = process.env["SIMULATION_LOG"] === undefined ? silentLog : createLog({ level: "debug" });
    const state = await openState({ config, version: "simulated", environment, clock, log });
    return new SimulatedAgent(state, libvirt);
  }

  private constructor(state: State, model: ModelLibvirt) {
    this.state = state;
    setMaxListeners(0, this.#stop.signal);
    const { operations, events, watermark, audit, record } = state;
    const log = silentLog;
    // It implements the part of the interface that the agent uses.
    const libvirt = model as unknown as Libvirt;
    const ledger = ledgerOf(record);
    const reservations = new Reservations({ book: state.reservations, ledger, clock, log });
    const { table } = this;
    const host = {
      ledger,
      storageRead: () => Promise.resolve(),
      trait: () => false,
      kvm: () => ({ kind: "absent" }) as const,
    };
    const volumes = new Volumes(libvirt, clock);
    const vms = new Vms({
      domains: new Domains(libvirt, clock),
      volumes,
      images: imagePartsOf(libvirt, volumes, table, clock),
      networks: new Networks(libvirt),
      keys: new GuestKeys(libvirt, clock, new KeyWrap({ file: null, environment: {} })),
      attest: ({ receipt, ...rest }) => audit.attest({ receipt, host: "simulated", ...rest }),
      table,
      operations,
      watermark,
      clock,
      log,
      architecture: "x86_64",
      socketDirectory: "/run/socle-guests",
      kvmProbe: { suspect: () => Promise.resolve() },
      host: vmHostOf(host, reservations),
      policy: {
        ...config.vm,
        gracefulStopMs: config.vm.gracefulStopSeconds * 1000,
        permissionsOf: (tenant) => ({ ...tenantRules(config.tenants, tenant), keepDisks: true }),
      },
    });
    const kvm = {
      reportKvmFailure: () => undefined,
      reportKvmStartFailure: () => undefined,
      reportKvmSuccess: () => undefined,
    };
    const publish = (event: Parameters<typeof events.append>[0]): void => void events.append(event);
    const sampleIntervalMs = config.vm.sampleIntervalSeconds * 1000;
    this.#services = [
      model,
      buildLease({ config, clock, log }, state, { libvirt, revocations: noRevocations }),
      new Observer({ libvirt, table, publish, kvm, clock, log, sampleIntervalMs }),
      footprintFeed(table, (seen, complete) => ledger.setFootprints(seen, complete)),
      reservations,
      new Settler({ operations, watermark, vms, table, clock, log }),
    ];
    this.#errors = new KeptErrors(protos);
    const dependencies = {
      vmView: table,
      vms,
      operations,
      reservations,
      controlEpochs: state.controlEpochs,
      audit,
      // The simulated calls use only these services.
    } as unknown as ServiceDependencies;
    this.#handlers = this.#handlersOf(dependencies);
  }

  #handlersOf(dependencies: ServiceDependencies): Readonly<Record<string, Handler>> {
    const calls = new Calls({
      errors: this.#errors,
      identify: (call) => (call instanceof FakeCall ? call.caller : noCaller),
      admission: this.#admission,
      outbox: new Outbox(outboxBounds, clock),
      controlEpochs: dependencies.controlEpochs,
      shapes,
      turns: new FairTurns(Infinity, () => 0),
      audit: new CallAudit(this.state.audit, dependencies, {
        budget: new AuditBudget(much.perSecond, clock),
        nowMs: () => clock.now(),
      }),
      people: {
        rules: config.people,
        verify: () => {
          throw new Error("no caller of a simulation has a token");
        },
        brokeGlass: () => undefined,
      },
      changesRefused: () => undefined,
      isLocal: true,
      clock,
      log: silentLog,
    });
    const handlers: Record<string, Handler> = {};
    const server = {
      addService(_definition: unknown, implementation: object): void {
        Object.assign(handlers, implementation);
      },
    };
    calls.serve(server, { definition: protos.vms, methods: vmService(dependencies, this.#errors) });
    calls.serve(server, {
      definition: protos.operations,
      methods: operationService(dependencies, this.#errors),
    });
    return handlers;
  }

  /** Resolves once the agent serves. */
  async start(): Promise<void> {
    await new Promise<void>((ready, failed) => {
      const options = { log: silentLog, stopTimeoutMs: SERVICE_STOP_MS };
      this.#running = runServices(this.#services, this.#stop.signal, ready, options);
      this.#running.catch(failed);
    });
    this.isServing = true;
  }

  /** Stops the agent in order. */
  async stop(): Promise<void> {
    this.isServing = false;
    await this.state.operations.drain(10_000);
    this.#stop.abort();
    await this.#running;
    await this.state.close();
  }

  /** Like a call over gRPC: encodes and decodes the request, runs the handler, returns the answer. */
  call(method: string, request: object, by: CallBy, answered: (answer: Answered) => void): void {
    const definition =
      method in protos.vms ? protos.vms[method as "GetVm"] : protos.operations[method as "GetOperation"];
    const handler = this.#handlers[method];
    if (handler === undefined) throw new Error(`there is no method ${method}`);
    const call = new FakeCall(by, definition.requestDeserialize(definition.requestSerialize(request)));
    this.#admission.onLeft = by.onPlaceLeft;
    handler(call, (error, bytes) => {
      by.deliver(() => {
        const response = bytes === undefined ? undefined : definition.responseDeserialize(bytes);
        answered(error === null ? { response: response as never } : this.#errors.of(error));
        call.call.stream.end();
      });
    });
  }
}

export interface CallBy {
  readonly caller: Caller;
  readonly controlEpoch: number | undefined;
  /** The agent has produced an answer; call `arrived` when its last byte is sent. */
  readonly deliver: (arrived: () => void) => void;
  readonly onPlaceLeft: () => void;
}

/** Reports each call when it releases its permit. */
class WatchedAdmission extends Admission {
  /** The number of the next call. */
  onLeft: () => void = () => undefined;

  override enter(...call: Parameters<Admission["enter"]>): () => void {
    const { onLeft } = this;
    const leave = super.enter(...call);
    return () => {
      onLeft();
      leave();
    };
  }
}

/** The part of a call's HTTP/2 stream that the agent uses. */
class FakeStream extends EventEmitter {
  closed = false;
  readonly destroyed = false;

  close(): void {
    this.end();
  }

  end(): void {
    if (this.closed) return;
    this.closed = true;
    this.emit("close");
  }
}

/** The part of a grpc-js call that the handlers use. */
class FakeCall extends EventEmitter {
  readonly caller: Caller;
  readonly request: unknown;
  readonly metadata = new Metadata();
  readonly cancelled = false;
  readonly call = { stream: new FakeStream() };

  constructor({ caller, controlEpoch }: CallBy, request: unknown) {
    super();
    this.caller = caller;
    this.request = request;
    if (controlEpoch !== undefined) this.metadata.set(controlEpochKey, String(controlEpoch));
  }

  getPeer(): string {
    return "unix";
  }
}

/** Keeps the error of each status, so that tests need not decode its details. */
class KeptErrors extends ErrorEncoder {
  readonly #kept = new WeakMap<object, Answered>();

  override encode(...call: Parameters<ErrorEncoder["encode"]>): ReturnType<ErrorEncoder["encode"]> {
    const encoded = super.encode(...call);
    const [thrown] = call;
    const { kind, reason } = toSocleError(thrown);
    this.#kept.set(encoded.status, { kind, reason });
    return encoded;
  }

  of(status: object): Answered {
    return this.#kept.get(status) ?? { kind: "internal", reason: "UNKNOWN_STATUS" };
  }
}

function ledgerOf(record: State["record"]): Ledger {
  const ledger = new Ledger({
    policy: {
      reservedCpus: 0,
      reservedMemoryBytes: 0,
      cpuOvercommitRatio: 4,
      memoryOvercommitRatio: 1,
      dedicatedCpus: [],
    },
    scheduling: () => record.scheduling,
    clock,
    changed: () => undefined,
  });
  const cpus = [0, 1, 2, 3, 4, 5, 6, 7];
  ledger.setCells([{ id: 0, cpus, memoryBytes: 64 * GIB, pages: [], distances: [] }]);
  const images = {
    name: "images",
    type: "logical",
    active: true,
    presence: "present",
    observedAtMs: 0,
    capacityBytes: 1024 * GIB,
    allocatedBytes: 0,
    availableBytes: 1024 * GIB,
    provisionedBytes: 0,
  } as const;
  const volumes = new Map([
    ["images", { kind: "read", value: { bytes: new Map<string, number>() } } as const],
  ]);
  ledger.setStorage({ pools: new Map([["images", images]]), volumes, startedAtMs: clock.monotonicMs() });
  return ledger;
}
