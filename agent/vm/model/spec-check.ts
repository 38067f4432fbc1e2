import type * as z from "../../kernel/zod.ts";
import { SocleError } from "../../kernel/errors.ts";
import { seedSecrets, type SeedSecrets } from "../../contract/spec-cloud-init.ts";
import { reservedRoom, vmSpec, type NicSpec, type ReservedRoom, type VmSpec } from "../../contract/spec.ts";
import { uuid } from "../../contract/spec-values.ts";

/** Limits of this host for well-formed specs. */
export interface SpecPolicy {
  readonly bridges: readonly string[];
  readonly allowSpoofing: boolean;
  /** Whether libvirt can add memory to running guests; absent: yes. */
  readonly canAddMemory?: () => boolean;
}

/**
 * Checks the fields of a VM's reservation by the rules of its spec. Throws `invalid` SPEC_INVALID with every wrong
 * field.
 */
export const checkRoom = (input: unknown): ReservedRoom => checkPart(reservedRoom, input);

/** Checks a request's part by its schema. Throws `invalid` SPEC_INVALID with every wrong field. */
export function checkPart<Schema extends z.ZodType>(
  schema: Schema,
  input: unknown,
  root = "",
): z.output<Schema> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const fields: Record<string, string> = {};
  for (const { path, message } of parsed.error.issues)
    fields[fieldPath(path, root).replace(/^\./, "")] ??= message;
  throw invalid(fields);
}

/**
 * Checks a changed spec by the rules between its fields. `part`: what the request has of it; `root`: the request's name for
 * that. Throws `invalid` SPEC_INVALID with every wrong field.
 */
export function checkRules(
  spec: VmSpec,
  { part, root }: { readonly part: readonly PropertyKey[]; readonly root: string } = {
    part: [],
    root: "spec",
  },
): VmSpec {
  const parsed = vmSpec.safeParse(spec);
  if (parsed.success) return parsed.data;
  const fields: Record<string, string> = {};
  for (const { path, message } of parsed.error.issues) {
    const isOfRequest = part.every((name, index) => path[index] === name);
    fields[isOfRequest ? fieldPath(path.slice(part.length), root) : fieldPath(path, "spec")] ??= message;
  }
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
    parsed.data.nics.forEach((nic, index) =>
      Object.assign(fields, notAllowed(nic, policy, `spec.nics[${index}]`)),
    );
    Object.assign(fields, maximumNotPossible(parsed.data, policy));
    const spec = withSeedPool(parsed.data);
    if (spec === undefined)
      fields["spec.cloudInit.pool"] = "must be given: the VM has no new disk, whose pool is the default";
    else if (Object.keys(fields).length === 0) return spec;
  }
  throw invalid(fields);
}

/** The spec with the default of its seed's pool; undefined if there is none. */
function withSeedPool(spec: VmSpec): VmSpec | undefined {
  const { cloudInit, disks } = spec;
  if (cloudInit === undefined || cloudInit.pool !== undefined) return spec;
  const [pool] = disks.flatMap(({ source }) => (source.kind === "new" ? [source.pool] : []));
  return pool === undefined ? undefined : { ...spec, cloudInit: { ...cloudInit, pool } };
}

/** Checks the secret parts of a seed. Throws as `checkSpec`; no message has a part of them. */
export function checkSeed(input: unknown, root = "spec.cloudInit"): SeedSecrets {
  const parsed = seedSecrets.safeParse(input);
  if (parsed.success) return parsed.data;
  const fields: Record<string, string> = {};
  for (const issue of parsed.error.issues) fields[fieldPath(issue.path, root)] ??= issue.message;
  throw invalid(fields);
}

/** Checks a NIC that is added to a VM, as `checkSpec` does. */
export function requireNicAllowed(nic: NicSpec, policy: SpecPolicy, root: string): void {
  const fields = notAllowed(nic, policy, root);
  if (Object.keys(fields).length > 0) throw invalid(fields);
}

/** Checks the maximum of a VM's memory that a change gives it, as `checkSpec` does. */
export function requireMaximumPossible(spec: VmSpec, policy: SpecPolicy): void {
  const fields = maximumNotPossible(spec, policy);
  if (Object.keys(fields).length > 0) throw invalid(fields);
}

function maximumNotPossible(
  { memoryBytes, maxMemoryBytes = memoryBytes }: VmSpec,
  { canAddMemory }: SpecPolicy,
): Record<string, string> {
  if (maxMemoryBytes === memoryBytes || canAddMemory?.() !== false) return {};
  const why = "needs libvirt 7.9 or newer on this host: update libvirt, or leave it out";
  return { "spec.maxMemoryBytes": why };
}

/** The fields of a NIC that the host's configuration does not allow. */
function notAllowed(
  { source, allowSpoofing }: NicSpec,
  policy: SpecPolicy,
  root: string,
): Record<string, string> {
  const fields: Record<string, string> = {};
  if (source.kind === "bridge" && !policy.bridges.includes(source.bridge))
    fields[`${root}.bridge`] = "is not among the bridges that this host's configuration allows (vm.bridges)";
  if (allowSpoofing && !policy.allowSpoofing)
    fields[`${root}.allowSpoofing`] = "is not allowed by this host's configuration (vm.allowSpoofing)";
  return fields;
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
