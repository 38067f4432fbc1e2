import { struct, type Codec, type Fields, type StructOf } from "./xdr.ts";

/** The program that a procedure number belongs to: that of all drivers, or that of QEMU. */
export type Program = "remote" | "qemu";

/** REMOTE_PROGRAM and QEMU_PROGRAM of libvirt's .x files. */
export const programNumbers: Readonly<Record<Program, number>> = { remote: 0x20008086, qemu: 0x20008087 };

/** The driver of a procedure. Modular libvirt has a daemon and a socket for each. */
export type Family = "hypervisor" | "network" | "storage" | "nodedev" | "secret" | "nwfilter" | "interface";

export interface Procedure<A, R> {
  readonly name: string;
  readonly number: number;
  readonly program: Program;
  readonly family: Family;
  readonly args: Codec<A>;
  readonly result: Codec<R>;
  /** The call can be repeated: without a reply it fails with `timeout`, not with `outcome_unknown`. */
  readonly onlyReads: boolean;
  /** The procedure opens a stream: libvirt sends to the client, the client to libvirt, or both. */
  readonly stream?: "read" | "write" | "both";
  /** The libvirt release that brought the public function, or the procedure where it has no function. */
  readonly since?: string;
}

/** A message that libvirt sends by itself. */
export interface EventProcedure<T> {
  readonly name: string;
  readonly number: number;
  readonly program: Program;
  readonly body: Codec<T>;
  readonly since?: string;
}

/** A body: a codec, or the fields of a struct (`{}` for no body). */
export type Body = Codec<unknown> | Fields;
export type BodyOf<B> = B extends Codec<infer T> ? T : B extends Fields ? StructOf<B> : never;

export interface ProcedureOptions {
  readonly onlyReads?: boolean;
  readonly program?: Program;
  readonly family?: Family;
  readonly stream?: "read" | "write" | "both";
  readonly since?: string;
}

/**
 * Declares a procedure. `name` and `number` are libvirt's, without REMOTE_PROC_ or QEMU_PROC_. Defaults: a mutation of
 * the remote program, answered by the hypervisor's daemon.
 */
export function procedure<const A extends Body, const R extends Body>(
  name: string,
  number: number,
  args: A,
  result: R,
  options: ProcedureOptions = {},
): Procedure<BodyOf<A>, BodyOf<R>> {
  const { program = "remote", family = "hypervisor", onlyReads = false, ...rest } = options;
  const [argsCodec, resultCodec] = [codecOf(args), codecOf(result)];
  return { name, number, program, family, args: argsCodec, result: resultCodec, onlyReads, ...rest };
}

export function event<const B extends Body>(
  name: string,
  number: number,
  body: B,
  options: { readonly program?: Program; readonly since?: string } = {},
): EventProcedure<BodyOf<B>> {
  return { name, number, program: "remote", body: codecOf(body), ...options };
}

function codecOf<B extends Body>(body: B): Codec<BodyOf<B>> {
  const codec = isCodec(body) ? body : struct(body);
  return codec as Codec<BodyOf<B>>;
}

function isCodec(body: Body): body is Codec<unknown> {
  return typeof body.encode === "function";
}
