/** A field of a protobuf message as it is encoded. */
interface WireField {
  readonly number: number;
  /** Of a varint: its value; else 0. */
  readonly value: number;
  /** Of a length-delimited field. */
  readonly bytes: Buffer | undefined;
}

/** The fields of a message, in order. Throws an Error for bytes that are not a message. */
export function* fieldsOf(message: Buffer): Generator<WireField, void, undefined> {
  for (let at = 0; at < message.length;) {
    const key = varint(message, at);
    const number = Math.floor(key.value / 8);
    switch (key.value % 8) {
      case 0: {
        const { value, end } = varint(message, key.end);
        yield { number, value, bytes: undefined };
        at = end;
        break;
      }
      case 1:
        yield { number, value: 0, bytes: undefined };
        at = key.end + 8;
        break;
      case 2: {
        const length = varint(message, key.end);
        const end = length.end + length.value;
        if (end > message.length) throw new Error("a field is cut short");
        yield { number, value: 0, bytes: message.subarray(length.end, end) };
        at = end;
        break;
      }
      case 5:
        yield { number, value: 0, bytes: undefined };
        at = key.end + 4;
        break;
      default:
        throw new Error(`wire type ${key.value % 8} is not in this contract`);
    }
  }
}

/** The values of a length-delimited field. */
export function bytesIn(message: Buffer, wanted: number): Buffer[] {
  const values: Buffer[] = [];
  for (const { number, bytes } of fieldsOf(message))
    if (number === wanted && bytes !== undefined) values.push(bytes);
  return values;
}

/** The first value of a text field; empty where it is absent. */
export const textIn = (message: Buffer, wanted: number): string =>
  bytesIn(message, wanted)[0]?.toString() ?? "";

/** The first value of a varint field; 0 where it is absent. */
export function numberIn(message: Buffer, wanted: number): number {
  for (const { number, value, bytes } of fieldsOf(message))
    if (number === wanted && bytes === undefined) return value;
  return 0;
}

/** At most 10 bytes, as the encoding allows. */
function varint(message: Buffer, start: number): { value: number; end: number } {
  let value = 0;
  for (let at = start, scale = 1; at < start + 10; at += 1, scale *= 128) {
    const byte = message[at];
    if (byte === undefined) throw new Error("a number is cut short");
    value += (byte % 128) * scale;
    if (byte < 128) return { value, end: at + 1 };
  }
  throw new Error("a number has more than 10 bytes");
}
