import type { ServiceDefinition } from "@grpc/grpc-js";
import { invalidField, SocleError } from "../kernel/errors.ts";
import type { RequestShapes } from "./limits/request-shapes.ts";
import { messageOf } from "../kernel/thrown.ts";

/** A request that is not a message of the contract; the call is refused after its caller was identified. */
export class Malformed {
  readonly problem: SocleError;

  constructor(problem: SocleError) {
    this.problem = problem;
  }
}

/**
 * The same service for grpc-js, whose decoding then neither fails (it would answer INTERNAL before the caller is identified)
 * nor takes long. It sends bytes unchanged, so that their number is known before.
 */
export function wired(definition: ServiceDefinition, shapes: RequestShapes): ServiceDefinition {
  const methods = Object.entries(definition).map(([name, method]) => {
    const { path, requestDeserialize } = method;
    const decode = decoder((bytes) => {
      shapes.check(path, bytes);
      return requestDeserialize(bytes);
    });
    return [name, { ...method, requestDeserialize: decode, responseSerialize: asItIs }] as const;
  });
  return Object.fromEntries(methods);
}

const asItIs = (bytes: Buffer): Buffer => bytes;

function decoder(decode: (bytes: Buffer) => unknown): (bytes: Buffer) => unknown {
  return (bytes) => {
    try {
      const request = decode(bytes);
      checkNumbers(request, []);
      return request;
    } catch (thrown) {
      if (thrown instanceof SocleError) return new Malformed(thrown);
      const why = messageOf(thrown);
      const message = `the request is not a message of this contract: ${why}`;
      return new Malformed(new SocleError("invalid", "REQUEST_MALFORMED", message, { cause: thrown }));
    }
  };
}

/** The request's fields; throws for a malformed one. */
export function requestOf<Request>(received: Request | Malformed): Request {
  if (received instanceof Malformed) throw received.problem;
  return received;
}

/** Numbers beyond 2^53 - 1 came as another one than was sent. No request has fractions. */
function checkNumbers(value: unknown, path: readonly string[]): void {
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) throw tooLarge(path);
  } else if (typeof value === "object" && value !== null && !Buffer.isBuffer(value)) {
    for (const [key, inner] of Object.entries(value))
      if (typeof inner === "number" || typeof inner === "object") checkNumbers(inner, [...path, key]);
  }
}

function tooLarge(path: readonly string[]): SocleError {
  const field = path
    .join(".")
    .replace(/\.(\d+)(?=\.|$)/g, "[$1]")
    .replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
    .slice(0, 128);
  return invalidField("REQUEST_INVALID", field, "must be a whole number of at most 2^53 - 1");
}
