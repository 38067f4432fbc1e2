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
import { loadContract } from "../../../agent/contract/load.ts";

export const protos = loadContract(fileURLToPath(new URL("../../../proto", import.meta.url)));

/** The parts of a method that a client needs. */
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
    headers: Readonly<Record<string, string | string[]>> = {},
  ): Promise<Response> {
    const metadata = new Metadata();
    for (const [key, values] of Object.entries(headers))
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
