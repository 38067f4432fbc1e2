import { rmSync } from "node:fs";
import type { Roots } from "../../../agent/hardware/roots.ts";
import { unpackHost } from "../tree.ts";

/** A machine of test/fixtures/hosts that no test changes, unpacked until the process of the tests ends. */
export async function machine(name: "two-sockets" | "small-vm"): Promise<Roots> {
  const { root, ...roots } = await unpackHost({ after: () => undefined }, name);
  process.once("exit", () => {
    rmSync(root, { recursive: true, force: true });
  });
  return roots;
}

export const GIB = 1024 ** 3;
export const MIB = 1024 ** 2;
