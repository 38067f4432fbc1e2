import type { TestContext } from "node:test";
import { deserialize, serialize } from "node:v8";
import { Client, credentials, status, type ServiceError } from "@grpc/grpc-js";
import { hostToProto } from "../../agent/api/convert/host.ts";
import { vmToProto } from "../../agent/api/convert/vm.ts";
import { eventToProto } from "../../agent/api/convert/event.ts";
import { systemClock } from "../../agent/kernel/clock.ts";
import { silentLog } from "../../agent/kernel/log.ts";
import { SocleError } from "../../agent/kernel/errors.ts";
import type { Contact } from "../../agent/scheduler/contact.ts";
import { Session } from "../../agent/scheduler/session.ts";
import { ReportedState } from "../../agent/scheduler/state.ts";
import type { Operation } from "../../agent/state/operations/operation.ts";
import { checkSpec } from "../../agent/vm/model/spec-check.ts";
import { hostSnapshot, protos, startApi, vm, type Harness } from "../support/api/harness.ts";
import { methodsOf, type AnyMethod } from "./contract-methods.ts";
import { foreignRows } from "./foreign-rows.ts";
import type { Chance } from "./fuzz-chance.ts";
import type { CleanUp, FuzzTarget } from "./fuzz-target.ts";

const ANSWER_WITHIN_MS = 120_000;
/** A stream may stay silent. An error that takes longer is not seen. */
const LISTEN_MS = 100;

interface Method {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly seeds: readonly Buffer[];
}

/** Fields of any request; each method uses those that it knows. */
const seed = {
  requestId: "r-1",
  vm: "name-a",
  image: "debian",
  url: "https://user:word@images.example/a.qcow2?key=1",
  sha256: "ab".repeat(32),
  name: "debian",
  sizeBytes: 10,
  operationId: "nothing",
  pageSize: 10,
  afterSequence: 1,
  force: true,
  timeout: { seconds: 0, nanos: 1 },
  spec: {
    name: "web",
    vcpus: 1,
    memoryBytes: 2 ** 30,
    disks: [{ name: "boot", volume: { pool: "images", volume: "a" } }],
    nics: [{ name: "net", network: "default" }],
    labels: { tier: "front" },
  },
  service: "socle.v1.VmService",
  listServices: "*",
  input: Buffer.from("\n"),
};

/** Services that the agent calls, and does not serve. */
export const calledServices: Readonly<Record<string, string>> = {
  SchedulerService: "the target `scheduler` is a session with such a scheduler",
  EnrollmentService: "its answers are a certificate authority's; `attack` has hostile ones",
};

const own = { vm: "name-a", tenant: "" };

/** The empty request, the fields of any, and those that would name another tenant's things: whole disks, NICs and specs. */
function seedsOf({ path, requestSerialize }: AnyMethod): readonly Buffer[] {
  const row = foreignRows[path.replace("/socle.v1.", "")];
  const named = row === undefined || "noneBecause" in row ? [] : (row.names ?? []);
  const requests = named.map(({ request }) => ({ requestId: "r-1", ...request("name-a", own) }));
  return [seed, {}, ...requests].map((request) => requestSerialize(request));
}

const methods: readonly Method[] = [...methodsOf(protos).values()]
  .filter(({ path }) => !Object.keys(calledServices).some((service) => path.includes(`.${service}/`)))
  .map((method) => ({ ...method, seeds: seedsOf(method) }));

/** The methods that the target `grpc` calls. */
export const fuzzedPaths: ReadonlySet<string> = new Set(methods.map(({ path }) => path));

interface Asked {
  readonly path: string;
  readonly request: Uint8Array;
}

/** What a scheduler sends in a session. */
interface Talk {
  readonly messages: readonly Uint8Array[];
  /** The digest of a report; absent: the right one. */
  readonly digest: string | undefined;
  readonly controlEpoch: number;
}

const ended = (requestId: string): Operation => ({
  id: "operation",
  requestId,
  kind: "CREATE_VM",
  vmId: "v",
  caller: "fuzz",
  state: "succeeded",
  steps: [],
  progress: 1,
  createdAtMs: 1,
  endedAtMs: 2,
  result: {},
  intent: {},
});

/** The rate limits must not stop the inputs. */
const noLimits = {
  readsPerSecond: 1_000_000,
  mutationsPerSecond: 1_000_000,
  failuresPerSecond: 1_000_000,
  streamsPerSecond: 1_000_000,
  controlsPerSecond: 1_000_000,
  streams: 100_000,
  waits: 100_000,
};

/** Any bytes to any method of the real server: it replies, with a status of the contract. */
export async function grpc(cleanUp: CleanUp): Promise<{ target: FuzzTarget; api: Harness }> {
  // startApi uses only after() of the test context.
  const api = await startApi({ after: cleanUp } as unknown as TestContext, { limits: noLimits });
  api.table.put(vm("a"));
  const answer = ({ requestId }: { requestId: string }) => Promise.resolve(ended(requestId));
  const { vms } = api;
  vms.create = ({ requestId, spec }) => {
    checkSpec(
      { ...spec, id: spec["id"] ?? "3f0c9b52-7a54-4c1d-8f3e-0c3a9d3a1b01" },
      { bridges: [], allowSpoofing: false },
    );
    return Promise.resolve(ended(requestId));
  };
  vms.begin = (_kind, request) => answer(request);
  vms.openConsole = () => Promise.reject(new SocleError("not_found", "VM_NOT_FOUND", "there is none"));
  vms.guest = () => {
    throw new SocleError("not_found", "VM_NOT_FOUND", "there is none");
  };
  const client = new Client(`unix:${api.socket}`, credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
  });
  cleanUp(() => client.close());
  const make = (chance: Chance): Buffer => {
    const { path, seeds } = chance.of(methods);
    const request = chance.is(15) ? chance.bytes(chance.below(200)) : chance.mutated(chance.of(seeds));
    return serialize({ path, request } satisfies Asked);
  };
  const feed = async (input: Buffer): Promise<void> => {
    // The harness keeps the log.
    api.logged.length = 0;
    const asked = deserialize(input) as Asked;
    const request = Buffer.from(asked.request);
    const method = methods.find(({ path }) => path === asked.path);
    if (method === undefined) return;
    const error = await ask(client, method, request);
    const isGarbled = error?.details.startsWith("Error deserializing request") === true;
    if (error === undefined || error.code === status.CANCELLED || isGarbled) return;
    const isOurs = error.metadata.get("grpc-status-details-bin").length > 0;
    const isCrash = [status.UNKNOWN, status.INTERNAL, status.DEADLINE_EXCEEDED, status.UNAVAILABLE].includes(
      error.code,
    );
    if (isCrash || !isOurs) throw new Error(`${method.path}: ${error.message}`);
  };
  return { target: { name: "grpc", share: 50, make, feed }, api };
}

/** The end of the call; a stream that sends messages is closed. */
function ask(
  client: Client,
  { path, requestStream, responseStream }: Method,
  request: Buffer,
): Promise<ServiceError | undefined> {
  const same = (bytes: Buffer): Buffer => bytes;
  const options = { deadline: Date.now() + ANSWER_WITHIN_MS };
  if (!requestStream && !responseStream)
    return new Promise((resolve) => {
      client.makeUnaryRequest(path, same, same, request, options, (error) => resolve(error ?? undefined));
    });
  const writable = requestStream ? client.makeBidiStreamRequest(path, same, same, options) : undefined;
  const call = writable ?? client.makeServerStreamRequest(path, same, same, request, options);
  return new Promise((resolve) => {
    const leave = (): void => call.cancel();
    const timer = setTimeout(leave, LISTEN_MS);
    const over = (error?: ServiceError): void => {
      clearTimeout(timer);
      resolve(error);
    };
    call.once("data", leave);
    call.on("error", over);
    call.on("end", () => over());
    writable?.write(request);
    writable?.end();
  });
}

/** A scheduler's messages to a session that validates all of them. */
export function scheduler(api: Harness): FuzzTarget {
  const { table: vms, host, position, events } = api;
  const state = new ReportedState({
    vms,
    host,
    position,
    clock: systemClock,
    hostMessage: hostToProto,
    vmMessage: vmToProto,
    log: silentLog,
  });
  const { requestDeserialize: _, responseDeserialize, responseSerialize } = protos.scheduler.Session;
  const duration = { seconds: 1, nanos: 0 };
  const welcome = {
    controlEpoch: 1,
    heartbeatInterval: duration,
    reconnectSpread: duration,
    knownDigest: "d",
  };
  const words = [
    { welcome: { ...welcome, knownGeneration: 1, knownAgentEpoch: 7, knownEventSequence: 0 } },
    { ack: { generation: 3, eventSequence: 9 } },
    { resync: {} },
    { reconnect: { delay: duration, address: "127.0.0.1:1" } },
  ].map((word) => responseSerialize(word));
  const make = (chance: Chance): Buffer => {
    const first = words[0] as Buffer;
    const script = [first, ...Array.from({ length: chance.below(4) }, () => chance.of(words))];
    return serialize({
      messages: script.map((bytes) => (chance.is(60) ? chance.mutated(bytes) : bytes)),
      digest: chance.is(50) ? undefined : chance.text(),
      controlEpoch: chance.below(3),
    } satisfies Talk);
  };
  const feed = async (input: Buffer): Promise<void> => {
    const talk = deserialize(input) as Talk;
    const messages = talk.messages.flatMap((bytes) => {
      try {
        return [responseDeserialize(Buffer.from(bytes))];
      } catch {
        return []; // grpc-js refuses it before the session sees it.
      }
    });
    const contact = {
      send: () => Promise.resolve(),
      report: () => Promise.resolve({ digest: talk.digest ?? state.digest }),
      async *messages() {
        for (const message of messages) yield await Promise.resolve(message);
      },
    };
    const session = new Session(
      // The session uses only this part of a contact.
      contact as unknown as Contact,
      {
        state,
        position,
        events,
        eventMessage: eventToProto,
        clock: systemClock,
        identity: () => hostSnapshot.identity,
        agentAddress: () => "",
        contactTimeoutMs: ANSWER_WITHIN_MS,
        fence: { controlEpoch: talk.controlEpoch },
        onWelcome: ({ heartbeatMs, reconnectSpreadMs }) => {
          if (!(heartbeatMs >= 100 && heartbeatMs <= 300_000))
            throw new Error(`a heartbeat every ${heartbeatMs} ms`);
          if (!(reconnectSpreadMs >= 0)) throw new Error(`a spread of ${reconnectSpreadMs} ms`);
        },
        onAck: () => undefined,
      },
      new AbortController().signal,
    );
    try {
      const reconnect = await session.run();
      if (reconnect !== undefined && !(reconnect.delayMs >= 0))
        throw new Error(`come back in ${reconnect.delayMs} ms`);
    } catch (thrown) {
      if (!(thrown instanceof SocleError) || thrown.reason === "INTERNAL") throw thrown;
    }
  };
  return { name: "scheduler", share: 40, make, feed };
}
