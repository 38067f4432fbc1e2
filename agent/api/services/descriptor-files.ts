import { bytesIn, textIn } from "../limits/wire-fields.ts";

/** One .proto file of the contract, as a serialized google.protobuf.FileDescriptorProto. */
export interface DescriptorFile {
  readonly name: string;
  readonly imports: readonly string[];
  /** Full names of its messages, enums and services. */
  readonly symbols: readonly string[];
  readonly bytes: Buffer;
}

// Field numbers of google/protobuf/descriptor.proto.
const setFile = 1;
const file = { name: 1, package: 2, dependency: 3, messageType: 4, enumType: 5, service: 6 } as const;
const typeName = 1;

/** The files of a serialized google.protobuf.FileDescriptorSet. */
export const descriptorFiles = (descriptorSet: Buffer): readonly DescriptorFile[] =>
  bytesIn(descriptorSet, setFile).map((bytes) => {
    const packageName = textIn(bytes, file.package);
    const types = [file.messageType, file.enumType, file.service].flatMap((field) => bytesIn(bytes, field));
    return {
      name: textIn(bytes, file.name),
      imports: bytesIn(bytes, file.dependency).map(String),
      symbols: types.map((type) => `${packageName}.${textIn(type, typeName)}`),
      bytes,
    };
  });

/** The file, followed by its imports. */
export function withImports(
  files: readonly DescriptorFile[],
  wanted: DescriptorFile,
): readonly DescriptorFile[] {
  const found = new Set([wanted]);
  for (const { imports } of found) {
    for (const imported of files) if (imports.includes(imported.name)) found.add(imported);
  }
  return [...found];
}
