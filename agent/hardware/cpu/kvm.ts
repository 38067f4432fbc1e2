import { open } from "node:fs/promises";
import { join } from "node:path";
import { readTextIfThere, reading, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";

export interface Kvm {
  /** Nested virtualization is enabled; undefined if the module does not report it. */
  readonly nested?: boolean;
}

/** Whether KVM can be used: `broken` carries the evidence that it opens but cannot run guests. */
export type KvmState =
  | { readonly kind: "usable" }
  | { readonly kind: "absent" }
  | { readonly kind: "broken"; readonly evidence: string };

/** Opens /dev/kvm, as QEMU would. Unsupported: it does not exist; failed: it cannot be opened. */
export function readKvm(roots: Roots): Promise<Reading<Kvm>> {
  const path = join(roots.devRoot, "kvm");
  return reading(path, async () => {
    const device = await open(path, "r+");
    await device.close();
    const modules = await Promise.all(
      ["kvm_intel", "kvm_amd", "kvm"].map((name) =>
        readTextIfThere(join(roots.sysRoot, "module", name, "parameters/nested")),
      ),
    );
    const nested = modules.find((parameter) => parameter !== undefined);
    return nested === undefined ? {} : { nested: nested === "Y" || nested === "1" };
  });
}
