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
export function descriptorFiles(descriptorSet: Buffer): readonly DescriptorFile[] {
  return submessages(descriptorSet, setFile).map((bytes) => {
    const text = (message: Buffer, field: number): string => submessages(message, field)[0]?.toString() ?? "";
    const packageName = text(bytes, file.package);
    const types = [file.messageType, file.enumType, file.service].flatMap((field) =>
      submessages(bytes, field),
    );
    return {
      name: text(bytes, file.name),
      imports: submessages(bytes, file.dependency).map(String),
      symbols: types.map((type) => `${packageName}.${text(type, typeName)}`),
      bytes,
    };
  });
}

/** The file, and behind it everything it needs. */
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

/** The values of a length-delimited field of a protobuf message, which descriptors are made of. */
function submessages(message: Buffer, wanted: number): Buffer[] {
  const values = [];
  for (let at = 0; at < message.length;) {
    const key = varint(message, at);
    const wireType = key.value % 8;
    const value = varint(message, key.end);
    const end = wireType === 2 ? value.end + value.value : value.end;
    if (wireType !== 2 && wireType !== 0) throw new Error(`unexpected wire type ${wireType} in a descriptor`);
    if (wireType === 2 && Math.floor(key.value / 8) === wanted) values.push(message.subarray(value.end, end));
    at = end;
  }
  return values;
}

function varint(message: Buffer, start: number): { value: number; end: number } {
  let value = 0;
  for (let at = start, scale = 1; ; at += 1, scale *= 128) {
    const byte = message[at];
    if (byte === undefined) throw new Error("a descriptor is cut short");
    value += (byte % 128) * scale;
    if (byte < 128) return { value, end: at + 1 };
  }
}
