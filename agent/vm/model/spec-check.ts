import { SocleError } from "../../kernel/errors.ts";
import { reservedRoom, vmSpec, type ReservedRoom, type VmSpec } from "../../contract/spec.ts";
import { uuid } from "../../contract/spec-values.ts";

/** Limits of this host for well-formed specs. */
export interface SpecPolicy {
  readonly bridges: readonly string[];
  readonly allowSpoofing: boolean;
}

/**
 * Checks the fields of a VM's reservation by the rules of its spec. Throws `invalid` SPEC_INVALID with every wrong
 * field.
 */
export function checkRoom(input: unknown): ReservedRoom {
  const parsed = reservedRoom.safeParse(input);
  if (parsed.success) return parsed.data;
  const fields: Record<string, string> = {};
  for (const issue of parsed.error.issues) fields[fieldPath(issue.path, "").slice(1)] ??= issue.message;
  throw invalid(fields);
}

/**
 * The spec with its defaults filled in. Throws `invalid` SPEC_INVALID with every wrong field (`spec.disks[0].name`).
 * `id` must be set.
 */
export function checkSpec(input: unknown, policy: SpecPolicy): VmSpec {
  const parsed = vmSpec.safeParse(input);
  const fields: Record<string, string> = {};
  if (!parsed.success) {
    for (const issue of parsed.error.issues) fields[fieldPath(issue.path, "spec")] ??= issue.message;
  } else {
    if (uuid.safeParse(parsed.data.name.toLowerCase()).success)
      fields["spec.name"] = "must not be a UUID: requests accept an id in place of a name";
    parsed.data.nics.forEach((nic, index) => {
      if (nic.source.kind === "bridge" && !policy.bridges.includes(nic.source.bridge)) {
        fields[`spec.nics[${index}].bridge`] =
          "is not among the bridges that this host's configuration allows (vm.bridges)";
      }
      if (nic.allowSpoofing && !policy.allowSpoofing) {
        fields[`spec.nics[${index}].allowSpoofing`] =
          "is not allowed by this host's configuration (vm.allowSpoofing)";
      }
    });
    if (Object.keys(fields).length === 0) return parsed.data;
  }
  throw invalid(fields);
}

function invalid(fields: Readonly<Record<string, string>>): SocleError {
  const [first] = Object.entries(fields);
  const message = first === undefined ? "the spec is invalid" : `${first[0]} ${first[1]}`;
  return new SocleError("invalid", "SPEC_INVALID", message, { details: { fields } });
}

export function fieldPath(path: readonly PropertyKey[], root: string): string {
  // "source" stands for a oneof, which the contract's field paths omit.
  return path
    .filter((part) => part !== "source")
    .reduce<string>(
      (text, part) => (typeof part === "number" ? `${text}[${part}]` : `${text}.${String(part)}`),
      root,
    );
}
