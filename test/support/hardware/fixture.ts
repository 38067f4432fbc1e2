import { after } from "node:test";
import type { Roots } from "../../../agent/hardware/roots.ts";
import { unpackHost } from "../tree.ts";

/** A machine of test/fixtures/hosts that no test changes, unpacked until the file's tests are over. */
export const machine = (name: "two-sockets" | "small-vm"): Promise<Roots> => unpackHost({ after }, name);

export const GIB = 1024 ** 3;
export const MIB = 1024 ** 2;
