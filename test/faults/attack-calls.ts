import { createSecureContext, type SecureContextOptions } from "node:tls";
import {
  Client,
  credentials,
  Metadata,
  status,
  type ChannelCredentials,
  type ServiceError,
} from "@grpc/grpc-js";
import {
  loadFileDescriptorSetFromBuffer,
  type AnyDefinition,
  type MessageTypeDefinition,
  type PackageDefinition,
} from "@grpc/proto-loader";
import { fromRpcError } from "../../agent/cli/rpc-error.ts";
import { loadContract, type Contract } from "../../agent/contract/load.ts";
import { loaderOptions } from "../../agent/gen/loader-options.ts";
import { methodsOf } from "./contract-methods.ts";
import { protoDirectory } from "../support/socle-host.ts";
import type { Issued } from "../scheduler/authority.ts";

const REFLECTION = "grpc.reflection.v1.ServerReflection";

/** A served method, from the agent's reflection. */
export interface Served {
  readonly path: string;
  readonly isStream: boolean;
  readonly requestName: string;
  readonly serialize: (request: object) => Buffer;
}

/** The result of a call: the code, and the agent's reason if there is one. */
export interface Answer {
  readonly code: status;
  readonly reason: string;
  readonly message: string;
  /** The metadata of the agent's reason. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Its invalid fields. */
  readonly fields: Readonly<Record<string, string>>;
  /** The first message of the reply. */
  readonly bytes: Buffer | undefined;
}

/** Calls with any bytes to any path, as a given caller. */
export class Caller {
  readonly #client: Client;
  readonly #contract: Contract;
  readonly #unaryPaths: ReadonlySet<string>;

  constructor(address: string, by: ChannelCredentials, contract: Contract) {
    this.#contract = contract;
    this.#unaryPaths = unaryPathsOf(contract);
    this.#client = new Client(address, by, {
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_http_proxy": 0,
      "grpc.initial_reconnect_backoff_ms": 50,
      "grpc.max_send_message_length": -1,
      ...(address.startsWith("unix:") ? { "grpc.default_authority": "localhost" } : {}),
    });
  }

  /** Resolves at the first message of a reply, its end or its error. */
  call(
    path: string,
    request: Buffer,
    {
      metadata = {},
      timeoutMs = 20_000,
    }: { metadata?: Readonly<Record<string, string>>; timeoutMs?: number } = {},
  ): Promise<Answer> {
    return new Promise((resolve) => {
      const sent = new Metadata();
      sent.set("socle-control-epoch", "1");
      for (const [name, value] of Object.entries(metadata)) sent.set(name, value);
      const call = this.#client.makeServerStreamRequest(
        path,
        (bytes: Buffer) => bytes,
        (bytes) => bytes,
        request,
        sent,
        { deadline: Date.now() + timeoutMs },
      );
      const ok = (bytes: Buffer | undefined): void =>
        resolve({ code: status.OK, reason: "", message: "", metadata: {}, fields: {}, bytes });
      call.on("data", (bytes: Buffer) => {
        ok(bytes);
        // A unary reply ends by itself. HTTP/2 servers close connections that reset many streams (CVE-2023-44487).
        if (!this.#unaryPaths.has(path)) call.cancel();
      });
      call.on("end", () => ok(undefined));
      call.on("error", (error: ServiceError) => {
        const { reason, message, details } = fromRpcError(this.#contract, error);
        const { metadata = {}, fields = {} } = details;
        resolve({ code: error.code, reason, message, metadata, fields, bytes: undefined });
      });
    });
  }

  close(): void {
    this.#client.close();
  }
}

function unaryPathsOf(contract: Contract): ReadonlySet<string> {
  const methods = [...methodsOf(contract).values()];
  return new Set(methods.filter(({ responseStream }) => !responseStream).map(({ path }) => path));
}

/** Connects with this certificate and does not verify the server. */
export const credentialsOf = (options: SecureContextOptions): ChannelCredentials =>
  credentials.createFromSecureContext(createSecureContext(options), { checkServerIdentity: () => undefined });

export const secureOptions = (ca: string, { certificatePem, keyPem }: Issued): SecureContextOptions => ({
  ca,
  cert: certificatePem,
  key: keyPem,
});

/** The methods that the agent at this socket serves, from its reflection, so that new methods are attacked without an edit. */
export class ServedContract {
  readonly methods: readonly Served[];
  readonly #all: PackageDefinition;

  static async ask(socketPath: string): Promise<ServedContract> {
    const caller = new Caller(
      `unix:${socketPath}`,
      credentials.createInsecure(),
      loadContract(protoDirectory),
    );
    const { ServerReflectionInfo: info } = loadContract(protoDirectory).reflection;
    const ask = async (request: Parameters<typeof info.requestSerialize>[0]) => {
      const { bytes, message } = await caller.call(info.path, info.requestSerialize(request));
      if (bytes === undefined) throw new Error(`the agent's reflection does not answer: ${message}`);
      return info.responseDeserialize(bytes);
    };
    try {
      const { listServicesResponse } = await ask({ listServices: "" });
      const names = (listServicesResponse?.service ?? []).map(({ name }) => name);
      const files = new Map<string, Buffer>();
      for (const name of names) {
        const { fileDescriptorResponse } = await ask({ fileContainingSymbol: name });
        for (const file of fileDescriptorResponse?.fileDescriptorProto ?? [])
          files.set(file.toString("latin1"), file);
      }
      return new ServedContract(descriptorSet([...files.values()]), names);
    } finally {
      caller.close();
    }
  }

  private constructor(set: Buffer, services: readonly string[]) {
    this.#all = loadFileDescriptorSetFromBuffer(set, loaderOptions);
    this.methods = services.flatMap((service) => {
      const definition = this.#all[service];
      if (definition === undefined || "format" in definition) throw new Error(`${service} is not described`);
      return Object.values(definition).map(
        ({ path, requestStream, responseStream, requestType, requestSerialize }) => ({
          path,
          isStream: requestStream || responseStream,
          requestName: `${service.slice(0, service.lastIndexOf("."))}.${messageOf(requestType).name}`,
          serialize: (request: object) => requestSerialize(asDescribed(request)),
        }),
      );
    });
    if (!services.includes(REFLECTION) || this.methods.length < 30)
      throw new Error(`only ${this.methods.length} methods are served: ${services.join()}`);
  }

  request({ requestName }: Served): Described {
    return this.#message(requestName);
  }

  /** The message type of a field: nested, of the same package, or by its full name. */
  described(typeName: string, inside: Described): Described {
    const nested = inside.message.nestedType.find(({ name }) => name === typeName);
    if (nested !== undefined) return { fullName: `${inside.fullName}.${typeName}`, message: nested };
    const besides = inside.fullName.slice(0, inside.fullName.lastIndexOf(".") + 1) + typeName;
    return this.#message(this.#all[besides] === undefined ? typeName.replace(/^\./, "") : besides);
  }

  #message(fullName: string): Described {
    const found = this.#all[fullName];
    if (found === undefined || !isMessage(found)) throw new Error(`there is no message ${fullName}`);
    return { fullName, message: messageOf(found) };
  }
}

export interface Described {
  readonly fullName: string;
  readonly message: Message;
}

/** The used part of google.protobuf.DescriptorProto. */
export interface Message {
  readonly name: string;
  readonly field: readonly {
    readonly name: string;
    readonly label: string;
    readonly type: string;
    readonly typeName: string;
  }[];
  readonly nestedType: readonly Message[];
}

/** proto-loader leaves descriptors untyped; their types are in descriptor.proto. */
const isMessage = (definition: AnyDefinition): definition is MessageTypeDefinition<object, object> =>
  typeof definition.format === "string";

const messageOf = (definition: Pick<MessageTypeDefinition<object, object>, "type">): Message =>
  definition.type as Message;

/** Messages that are loaded from descriptors have the descriptors' field names. */
function asDescribed(value: object): object {
  if (Array.isArray(value)) return value.map((each: unknown) => (isPlain(each) ? asDescribed(each) : each));
  const entries = Object.entries(value).map(([name, each]: [string, unknown]) => [
    name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    isPlain(each) ? asDescribed(each) : each,
  ]);
  return Object.fromEntries(entries) as object;
}

const isPlain = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Buffer.isBuffer(value);

/** google.protobuf.FileDescriptorSet: each file is field 1. */
function descriptorSet(files: readonly Buffer[]): Buffer {
  return Buffer.concat(files.flatMap((file) => [Buffer.from([0x0a, ...varint(file.length)]), file]));
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
}
