import { toSocleError } from "../../agent/kernel/errors.ts";
import type * as libvirt from "../../agent/libvirt/index.ts";

/** libvirt, real or as the model. */
export interface Side {
  readonly libvirt: Pick<libvirt.Libvirt, "call" | "openStream" | "events">;
  /** The directory of the pool `images`, which holds `bootsector.img`. */
  readonly images: string;
}

/** One call of the script with the comparable part of its answer. */
export interface Step {
  readonly name: string;
  readonly procedure: string;
  run(side: Side): Promise<unknown>;
}

export type Procedure<A, R> = libvirt.Procedure<A, R>;

export function step<A, R>(
  what: string,
  procedure: Procedure<A, R>,
  args: A | ((side: Side) => A),
  view: (result: R, side: Side) => unknown = (result) => result,
): Step {
  const argsFor = (side: Side): A => (typeof args === "function" ? (args as (side: Side) => A)(side) : args);
  return {
    name: `${procedure.name}: ${what}`,
    procedure: procedure.name,
    run: (side) => answerOf(async () => view(await side.libvirt.call(procedure, argsFor(side)), side), side),
  };
}

/** The answer without the host's own paths, or the error's kind and reason. */
export async function answerOf(ask: () => Promise<unknown>, { images }: Side): Promise<unknown> {
  try {
    return JSON.parse(JSON.stringify({ ok: await ask() }).replaceAll(images, "IMAGES"));
  } catch (thrown) {
    const { kind, reason } = toSocleError(thrown);
    return { kind, reason };
  }
}

export const uuidOf = (number: number): string =>
  `0d000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
