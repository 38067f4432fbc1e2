import { SocleError } from "../../kernel/errors.ts";
import { bytesIn, fieldsOf, numberIn, textIn } from "./wire-fields.ts";

/** A message by the fields that hold messages, and those whose numbers may be packed. */
interface Shape {
  readonly messages: Map<number, Shape>;
  readonly packable: Set<number>;
}

/**
 * Elements of a request, at every depth. The largest valid spec has about 200 messages and 1300 fields. Decoding takes
 * about 5 us per message: an accepted request costs a millisecond of the event loop, a refused one could take seconds.
 */
const MOST_MESSAGES = 256;
const MOST_FIELDS = 4096;

// Field numbers and types of google/protobuf/descriptor.proto.
const setFile = 1;
const file = { package: 2, messageType: 4, service: 6 } as const;
const message = { name: 1, field: 2, nestedType: 3 } as const;
const field = { number: 3, type: 5, typeName: 6 } as const;
const service = { name: 1, method: 2 } as const;
const method = { name: 1, inputType: 2 } as const;
const STRING = 9;
const GROUP = 10;
const MESSAGE = 11;
const BYTES = 12;

const newShape = (): Shape => ({ messages: new Map(), packable: new Set() });

/** The requests of a contract: counts the elements of one before it is decoded. */
export class RequestShapes {
  readonly #ofMethod = new Map<string, Shape>();

  /** From a serialized google.protobuf.FileDescriptorSet. */
  constructor(descriptorSet: Buffer) {
    const shapes = new Map<string, Shape>();
    const shapeOf = (name: string): Shape => {
      let shape = shapes.get(name);
      if (shape === undefined) shapes.set(name, (shape = newShape()));
      return shape;
    };
    const add = (parent: string, type: Buffer): void => {
      const name = `${parent}.${textIn(type, message.name)}`;
      const { messages, packable } = shapeOf(name);
      for (const bytes of bytesIn(type, message.field)) {
        const number = numberIn(bytes, field.number);
        const kind = numberIn(bytes, field.type);
        if (kind === MESSAGE) messages.set(number, shapeOf(textIn(bytes, field.typeName)));
        else if (![STRING, GROUP, BYTES].includes(kind)) packable.add(number);
      }
      for (const nested of bytesIn(type, message.nestedType)) add(name, nested);
    };
    for (const bytes of bytesIn(descriptorSet, setFile)) {
      const name = textIn(bytes, file.package);
      for (const type of bytesIn(bytes, file.messageType)) add(`.${name}`, type);
      for (const one of bytesIn(bytes, file.service))
        for (const rpc of bytesIn(one, service.method)) {
          const path = `/${name}.${textIn(one, service.name)}/${textIn(rpc, method.name)}`;
          this.#ofMethod.set(path, shapeOf(textIn(rpc, method.inputType)));
        }
    }
  }

  /** Throws `invalid` REQUEST_TOO_LARGE for too many elements, an Error for bytes that are no message. */
  check(path: string, request: Buffer): void {
    let messages = 0;
    let fields = 0;
    const count = (bytes: Buffer, shape: Shape | undefined): void => {
      messages += 1;
      for (const { number, bytes: inner } of fieldsOf(bytes)) {
        const isPacked = inner !== undefined && shape?.packable.has(number) === true;
        fields += isPacked ? 1 + inner.length : 1;
        if (messages > MOST_MESSAGES || fields > MOST_FIELDS) throw tooLarge();
        const nested = shape?.messages.get(number);
        if (inner !== undefined && nested !== undefined) count(inner, nested);
      }
    };
    count(request, this.#ofMethod.get(path));
  }
}

const tooLarge = (): SocleError =>
  new SocleError(
    "invalid",
    "REQUEST_TOO_LARGE",
    `the request has more than ${MOST_MESSAGES} messages or ${MOST_FIELDS} fields; no valid request has as many`,
  );
