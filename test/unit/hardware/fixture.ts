import { join } from "node:path";
import type { Roots } from "../../../agent/hardware/roots.ts";

const fixtures = join(import.meta.dirname, "../../fixtures");

/** Roots of a machine of test/fixtures; it has no device files. */
export function machine(name: "two-sockets" | "small-vm"): Roots {
  return {
    procRoot: join(fixtures, "proc", name),
    sysRoot: join(fixtures, "sysfs", name),
    devRoot: join(fixtures, "dev", name),
    etcRoot: join(fixtures, "etc", name),
  };
}

export const GIB = 1024 ** 3;
export const MIB = 1024 ** 2;
