import { SocleError } from "../../kernel/errors.ts";
import type { Accelerator } from "../../contract/spec.ts";

/** Whether KVM can be used: `broken` carries the evidence that it opens but cannot run guests. */
export type KvmState =
  | { readonly kind: "usable" }
  | { readonly kind: "absent" }
  | { readonly kind: "broken"; readonly evidence: string };

/** The accelerator for a guest that requests none. Throws `conflict` KVM_UNAVAILABLE. */
export function chooseAccelerator(configured: "auto" | Accelerator, kvm: KvmState): Accelerator {
  if (configured !== "auto") return configured;
  if (kvm.kind === "absent") return "tcg";
  if (kvm.kind === "usable") return "kvm";
  const message = `KVM cannot run guests on this host (${kvm.evidence}); repair it, or request the TCG accelerator`;
  const details = { metadata: { evidence: kvm.evidence } };
  throw new SocleError("conflict", "KVM_UNAVAILABLE", message, { details });
}
