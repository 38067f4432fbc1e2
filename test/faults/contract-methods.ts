import type { Contract } from "../../agent/contract/load.ts";

/** A method's encodings, whatever its messages are. */
export interface AnyMethod {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestSerialize: (request: object) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => object;
  readonly requestType: { readonly type: object };
}

/** All methods of the contract, by their paths. */
export function methodsOf(contract: Contract): ReadonlyMap<string, AnyMethod> {
  const services = Object.values(contract) as readonly object[];
  const all = services.flatMap((service) => Object.values(service) as readonly unknown[]).filter(isMethod);
  return new Map(all.map((method) => [method.path, method]));
}

const isMethod = (value: unknown): value is AnyMethod =>
  typeof value === "object" && value !== null && "requestSerialize" in value;
