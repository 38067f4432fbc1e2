import { MESSAGE_MAX_BYTES, XdrError, type XdrReader, type XdrWriter } from "./xdr-buffer.ts";

export { XdrError, XdrReader, XdrWriter, MESSAGE_MAX_BYTES } from "./xdr-buffer.ts";

/**
 * XDR (RFC 4506) as libvirt's RPC uses it. A codec is a value that knows both directions; every length is checked
 * against its limit and against the bytes that are there before anything is allocated for it.
 */
export interface Codec<T> {
  encode(writer: XdrWriter, value: T): void;
  decode(reader: XdrReader): T;
  /** The same in steps, for what may be large: yields wherever the event loop may run. */
  readonly decodeSteps?: (reader: XdrReader) => Generator<undefined, T, undefined>;
}

/** The type a codec reads and writes. */
export type Value<C> = C extends Codec<infer T> ? T : never;

export type Fields = Readonly<Record<string, Codec<unknown>>>;
export type StructOf<F extends Fields> = { [K in keyof F]: Value<F[K]> };

/** REMOTE_STRING_MAX of libvirt's remote_protocol.x. */
export const STRING_MAX_BYTES = 4 * 1024 * 1024;
export const int: Codec<number> = {
  encode: (writer, value) => writer.int(integer(value, -2147483648, 2147483647)),
  decode: (reader) => reader.int(),
};

export const uint: Codec<number> = {
  encode: (writer, value) => writer.uint(integer(value, 0, 4294967295)),
  decode: (reader) => reader.uint(),
};

/** Signed 64 bits as a JS number: exact up to 2^53 either way, rounded to the nearest double beyond. */
export const hyper: Codec<number> = {
  encode: (writer, value) => {
    writer.uint64(BigInt.asUintN(64, BigInt(integer(value, -(2 ** 63), 2 ** 63 - 1024))));
  },
  decode: (reader) => reader.hyper(),
};

/**
 * Unsigned 64 bits as a JS number: exact up to 2^53, rounded to the nearest double beyond (2^64 - 1, which libvirt
 * uses for "no value", reads as 2^64 and is refused when written).
 */
export const uhyper: Codec<number> = {
  encode: (writer, value) => writer.uint64(BigInt(integer(value, 0, 2 ** 64 - 2048))),
  decode: (reader) => reader.uhyper(),
};

export const double: Codec<number> = {
  encode: (writer, value) => writer.double(value),
  decode: (reader) => reader.double(),
};

export const bool: Codec<boolean> = {
  encode: (writer, value) => writer.uint(value ? 1 : 0),
  decode: (reader) => reader.uint() !== 0,
};

/** UTF-8 text of at most `maxBytes` bytes. Text with a NUL is refused: libvirt's C strings would end there. */
export function string(maxBytes = STRING_MAX_BYTES): Codec<string> {
  return {
    encode(writer, value) {
      if (typeof value !== "string") throw new XdrError(`expected a string, not ${describe(value)}`);
      if (value.includes("\0")) throw new XdrError("must not contain a NUL character");
      const length = limited(Buffer.byteLength(value), maxBytes, "bytes");
      writer.uint(length);
      writer.utf8(value, length);
    },
    decode: (reader) => reader.utf8(limited(reader.uint(), maxBytes, "bytes")),
  };
}

/** Bytes of a length of their own, at most `maxBytes`. */
export function opaque(maxBytes = MESSAGE_MAX_BYTES): Codec<Uint8Array> {
  return {
    encode(writer, value) {
      writer.uint(limited(value.byteLength, maxBytes, "bytes"));
      writer.bytes(value);
    },
    decode: (reader) => reader.bytes(limited(reader.uint(), maxBytes, "bytes")),
  };
}

/** Exactly `length` bytes. */
export function fixedOpaque(length: number): Codec<Uint8Array> {
  return {
    encode(writer, value) {
      if (value.byteLength !== length) {
        throw new XdrError(`must be ${length} bytes, not ${value.byteLength}`);
      }
      writer.bytes(value);
    },
    decode: (reader) => reader.bytes(length),
  };
}

/** `char name[length]`, which XDR writes as one word per character, as text up to the first NUL. */
export function chars(length: number): Codec<string> {
  return {
    encode(writer, value) {
      const bytes = Buffer.from(value, "utf8");
      limited(bytes.length, length, "bytes");
      for (let i = 0; i < length; i += 1) writer.uint(bytes[i] ?? 0);
    },
    decode(reader) {
      const bytes = Buffer.alloc(length);
      for (let i = 0; i < length; i += 1) bytes[i] = reader.uint();
      const end = bytes.indexOf(0);
      return bytes.toString("utf8", 0, end === -1 ? length : end);
    },
  };
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** 16 bytes as canonical lower-case text. */
export const uuid: Codec<string> = {
  encode(writer, value) {
    if (!UUID.test(value)) throw new XdrError(`is not a UUID: ${describe(value)}`);
    writer.bytes(Buffer.from(value.replaceAll("-", ""), "hex"));
  },
  decode(reader) {
    const hex = reader.hex(16);
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  },
};

/** Any number of items up to `max`. */
export function array<T>(item: Codec<T>, max: number): Codec<T[]> {
  return {
    encode(writer, value) {
      writer.uint(limited(value.length, max, "items"));
      each(value, (element) => item.encode(writer, element));
    },
    decode(reader) {
      const count = announced(reader, max);
      const out: T[] = [];
      for (let i = 0; i < count; i += 1) out.push(decodeItem(item, reader, i));
      return out;
    },
    *decodeSteps(reader) {
      const count = announced(reader, max);
      const out: T[] = [];
      for (let i = 0; i < count; i += 1) {
        out.push(decodeItem(item, reader, i));
        yield;
      }
      return out;
    },
  };
}

function announced(reader: XdrReader, max: number): number {
  const count = limited(reader.uint(), max, "items");
  // Everything XDR writes takes a word or more, so a count that cannot be true is seen before it costs anything.
  if (count * 4 > reader.remaining) {
    throw new XdrError(`${count} items are announced and ${reader.remaining} bytes are left`);
  }
  return count;
}

function decodeItem<T>(item: Codec<T>, reader: XdrReader, index: number): T {
  try {
    return item.decode(reader);
  } catch (thrown) {
    throw XdrError.within(`[${index}]`, thrown);
  }
}

/** An XDR pointer: null when absent. */
export function optional<T>(codec: Codec<T>): Codec<T | null> {
  return {
    encode(writer, value) {
      writer.uint(value === null ? 0 : 1);
      if (value !== null) codec.encode(writer, value);
    },
    decode: (reader) => (reader.uint() === 0 ? null : codec.decode(reader)),
  };
}

/** libvirt's remote_nonnull_string and remote_string. */
export const text = /* @__PURE__ */ string();
export const optionalText = /* @__PURE__ */ optional(text);

/** Fields one after another, in the order they are written here. */
export function struct<F extends Fields>(fields: F): Codec<StructOf<F>> {
  const names = Object.keys(fields);
  const codecs = Object.values(fields);
  return {
    encode(writer, value) {
      const values: Readonly<Record<string, unknown>> = value;
      let name = "";
      try {
        for (let i = 0; i < codecs.length; i += 1) {
          name = names[i] ?? "";
          codecs[i]?.encode(writer, values[name]);
        }
      } catch (thrown) {
        throw XdrError.within(name, thrown);
      }
    },
    decode(reader) {
      const out: Record<string, unknown> = {};
      let name = "";
      try {
        for (let i = 0; i < codecs.length; i += 1) {
          name = names[i] ?? "";
          out[name] = codecs[i]?.decode(reader);
        }
      } catch (thrown) {
        throw XdrError.within(name, thrown);
      }
      return out as StructOf<F>;
    },
    *decodeSteps(reader) {
      const out: Record<string, unknown> = {};
      let name = "";
      try {
        for (let i = 0; i < codecs.length; i += 1) {
          name = names[i] ?? "";
          out[name] = yield* stepsOf(codecs[i] ?? empty, reader);
        }
      } catch (thrown) {
        throw XdrError.within(name, thrown);
      }
      return out as StructOf<F>;
    },
  };
}

/** What is read becomes something else at once. Nothing is written this way. */
export function readAs<T, U>(codec: Codec<T>, as: (value: T) => U): Codec<U> {
  return {
    encode: refuseToWrite,
    decode: (reader) => as(codec.decode(reader)),
  };
}

function refuseToWrite(): never {
  throw new XdrError("is only read");
}

/** Decodes in the steps that a codec has; in one, where it has none. */
export function* stepsOf<T>(codec: Codec<T>, reader: XdrReader): Generator<undefined, T, undefined> {
  return codec.decodeSteps === undefined ? codec.decode(reader) : yield* codec.decodeSteps(reader);
}

/** No body at all. */
export const empty = struct({});

/** The value of a libvirt typed parameter. `llong` and `ullong` are 64 bits wide: exact up to 2^53. */
export type TypedValue =
  | { readonly type: "int" | "uint" | "llong" | "ullong" | "double"; readonly value: number }
  | { readonly type: "boolean"; readonly value: boolean }
  | { readonly type: "string"; readonly value: string };

export interface TypedParameter {
  readonly field: string;
  readonly value: TypedValue;
}

/** VIR_TYPED_PARAM_* of libvirt-common.h. */
const tags = { int: 1, uint: 2, llong: 3, ullong: 4, double: 5, boolean: 6, string: 7 } as const;

const typedValue: Codec<TypedValue> = {
  encode(writer, { type, value }) {
    writer.int(tags[type]);
    switch (type) {
      case "int":
        int.encode(writer, value);
        break;
      case "uint":
        uint.encode(writer, value);
        break;
      case "llong":
        hyper.encode(writer, value);
        break;
      case "ullong":
        uhyper.encode(writer, value);
        break;
      case "double":
        double.encode(writer, value);
        break;
      case "boolean":
        int.encode(writer, value ? 1 : 0);
        break;
      case "string":
        text.encode(writer, value);
        break;
    }
  },
  decode(reader) {
    const tag = reader.int();
    return { type: typeNames[tag], value: scalar(reader, tag) } as TypedValue;
  },
};

const typeNames = Object.fromEntries(Object.entries(tags).map(([name, tag]) => [tag, name]));

function scalar(reader: XdrReader, tag: number): TypedValue["value"] {
  switch (tag) {
    case tags.int:
      return reader.int();
    case tags.uint:
      return reader.uint();
    case tags.llong:
      return reader.hyper();
    case tags.ullong:
      return reader.uhyper();
    case tags.double:
      return reader.double();
    case tags.boolean:
      return reader.int() !== 0;
    case tags.string:
      return text.decode(reader);
    default:
      throw new XdrError(`is no type of a typed parameter: ${tag}`);
  }
}

const parameterStruct = struct({ field: text, value: typedValue });

export const typedParameter: Codec<TypedParameter> = {
  encode: (writer, parameter) => parameterStruct.encode(writer, parameter),
  decode(reader) {
    let member = "field";
    try {
      const field = fieldName(reader);
      member = "value";
      return { field, value: typedValue.decode(reader) };
    } catch (thrown) {
      throw XdrError.within(member, thrown);
    }
  },
};

const fieldName = (reader: XdrReader): string =>
  reader.name(limited(reader.uint(), STRING_MAX_BYTES, "bytes"));

/** A list of at most `max` parameters; libvirt's limits differ by procedure. */
export const typedParameters = (max: number): Codec<TypedParameter[]> => array(typedParameter, max);

/** Parameters as two lists, the second with the value of each of the first. */
export interface ParameterLists {
  readonly fields: readonly string[];
  readonly values: readonly TypedValue["value"][];
}

/**
 * The same as lists that are overwritten by the next ones that are read: a round of statistics has tens of thousands of
 * parameters, and an object for each is more garbage than all else in it. Only read.
 */
export function parameterLists(max: number): Codec<ParameterLists> {
  const fields: string[] = [];
  const values: TypedValue["value"][] = [];
  const lists = { fields, values };
  return {
    encode: refuseToWrite,
    decode(reader) {
      const count = announced(reader, max);
      fields.length = values.length = count;
      for (let i = 0; i < count; i += 1) {
        try {
          fields[i] = fieldName(reader);
          values[i] = scalar(reader, reader.int());
        } catch (thrown) {
          throw XdrError.within(`[${i}]`, thrown);
        }
      }
      return lists;
    },
  };
}

function integer(value: number, min: number, max: number): number {
  if (!Number.isInteger(value)) throw new XdrError(`must be an integer, not ${describe(value)}`);
  if (value < min || value > max) throw new XdrError(`must be from ${min} to ${max}, not ${value}`);
  return value;
}

function limited(length: number, max: number, what: string): number {
  if (length > max) throw new XdrError(`${length} ${what} are more than the limit of ${max}`);
  return length;
}

function each<T>(values: readonly T[], encode: (value: T) => void): void {
  values.forEach((value, i) => {
    try {
      encode(value);
    } catch (thrown) {
      throw XdrError.within(`[${i}]`, thrown);
    }
  });
}

function describe(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value.slice(0, 64)) : String(value);
}
