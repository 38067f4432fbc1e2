import type { KvmState } from "../../hardware/cpu/kvm.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { Accelerator } from "../../contract/spec.ts";

/** The accelerator for a guest that requests none. Throws `conflict` KVM_UNAVAILABLE. */
export function chooseAccelerator(configured: "auto" | Accelerator, kvm: KvmState): Accelerator {
  if (configured !== "auto") return configured;
  if (kvm.kind === "absent") return "tcg";
  if (kvm.kind === "usable") return "kvm";
  const message = `KVM cannot run guests on this host (${kvm.evidence}); repair it, or request the TCG accelerator`;
  const details = { metadata: { evidence: kvm.evidence } };
  throw new SocleError("conflict", "KVM_UNAVAILABLE", message, { details });
}
