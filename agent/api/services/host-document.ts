import type { HostSnapshot } from "../../host/host.ts";
import { inSlices, type Slice } from "../../kernel/concurrency/slice.ts";
import type { Vm } from "../../vm/model/vm.ts";
import type { Host } from "../../gen/socle/v1/Host.ts";
import { convertHost } from "../convert/host.ts";
import { encoding, setEncoding } from "../limits/encodings.ts";
import type { Contract } from "../../contract/load.ts";

type PartName = keyof Contract["hostParts"];

/** Field numbers in the contract's Host. */
const fieldNumbers: Readonly<Record<PartName, number>> = { inventory: 3, capacity: 4, health: 5 };
const LENGTH_DELIMITED = 2;

/**
 * Builds a host's document and its encoding in slices: a large host takes longer than one turn of the event loop may.
 * Unchanged parts are reused.
 */
export class HostDocuments {
  readonly #protos: Pick<Contract, "host" | "hostParts">;
  readonly #encoded = new WeakMap<object, Buffer>();

  constructor(protos: Pick<Contract, "host" | "hostParts">) {
    this.#protos = protos;
  }

  /** `more`: fields only of answers to a caller. */
  make(
    snapshot: HostSnapshot,
    vms: readonly Vm[],
    complete: boolean,
    { more, slice }: { readonly more: Host; readonly slice: Slice },
  ): Promise<Host> {
    return inSlices(this.#making(convertHost(snapshot, vms, complete), more), slice);
  }

  *#making(
    converting: Generator<undefined, Host, undefined>,
    more: Host,
  ): Generator<undefined, Host, undefined> {
    const host = { ...(yield* converting), ...more };
    const { inventory, capacity, health, ...rest } = host;
    const encoded = [
      yield* this.#part("inventory", inventory),
      yield* this.#part("capacity", capacity),
      yield* this.#part("health", health),
      this.#protos.host.GetHost.responseSerialize(rest),
    ];
    yield;
    setEncoding(host, Buffer.concat(encoded));
    return host;
  }

  *#part(name: PartName, message: object | null | undefined): Generator<undefined, Buffer, undefined> {
    if (message === null || message === undefined) return Buffer.alloc(0);
    const before = this.#encoded.get(message);
    if (before !== undefined) return before;
    const bytes = yield* encoding(message, this.#protos.hostParts[name].serialize);
    const head = Buffer.from([(fieldNumbers[name] << 3) | LENGTH_DELIMITED, ...varint(bytes.length)]);
    const encoded = Buffer.concat([head, bytes]);
    this.#encoded.set(message, encoded);
    yield;
    return encoded;
  }
}

const varint = (value: number): number[] =>
  value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(Math.floor(value / 0x80))];
