import { status } from "@grpc/grpc-js";
import type { ServerReflectionHandlers } from "../../gen/grpc/reflection/v1/ServerReflection.ts";
import type { ServerReflectionRequest__Output } from "../../gen/grpc/reflection/v1/ServerReflectionRequest.ts";
import type { ServerReflectionResponse } from "../../gen/grpc/reflection/v1/ServerReflectionResponse.ts";
import { descriptorFiles, withImports, type DescriptorFile } from "./descriptor-files.ts";
import type { Methods } from "./handler.ts";

/** grpc.reflection.v1: tools read the contract from the running agent. `services`: those that it lists. */
export function reflection(
  descriptorSet: Buffer,
  services: readonly string[],
): Methods<ServerReflectionHandlers> {
  const files = descriptorFiles(descriptorSet);
  return {
    ServerReflectionInfo: async function* (requests) {
      for await (const request of requests) {
        yield { validHost: request.host, originalRequest: request, ...answer(files, services, request) };
      }
    },
  };
}

function answer(
  files: readonly DescriptorFile[],
  services: readonly string[],
  request: ServerReflectionRequest__Output,
): ServerReflectionResponse {
  const { fileByFilename, fileContainingSymbol } = request;
  switch (request.messageRequest) {
    case "listServices":
      return { listServicesResponse: { service: services.map((name) => ({ name })) } };
    case "fileByFilename":
      return found(files, (file) => file.name === fileByFilename, `file ${fileByFilename ?? ""}`);
    case "fileContainingSymbol": {
      const symbol = fileContainingSymbol ?? "";
      const isIn = (name: string): boolean => symbol === name || symbol.startsWith(`${name}.`);
      return found(files, (file) => file.symbols.some(isIn), `symbol ${symbol}`);
    }
    default:
      return missing("extension");
  }
}

function found(
  files: readonly DescriptorFile[],
  is: (file: DescriptorFile) => boolean,
  what: string,
): ServerReflectionResponse {
  const file = files.find(is);
  if (file === undefined) return missing(what);
  const fileDescriptorProto = withImports(files, file).map(({ bytes }) => bytes);
  return { fileDescriptorResponse: { fileDescriptorProto } };
}

const missing = (what: string): ServerReflectionResponse => ({
  errorResponse: { errorCode: status.NOT_FOUND, errorMessage: `this agent has no ${what}` },
});
