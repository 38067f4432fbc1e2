import { SocleError, toSocleError } from "../../kernel/errors.ts";
import type { VmHost } from "./vm-host.ts";
import type { VmSpec } from "../../contract/spec.ts";

/** A trait that a spec needs of its host, and the field that needs it. */
interface Need {
  readonly trait: string;
  readonly field: string;
}

/** Checked with the volume key itself; libvirt reports all other traits. */
const ENCRYPTION = "disk-encryption";

function needsOf({ firmware, tpm, launchSecurity, disks }: VmSpec): Need[] {
  return [
    ...(firmware === "bios" ? [] : [{ trait: "uefi", field: "spec.firmware" }]),
    ...(firmware === "uefi-secure-boot" ? [{ trait: "secure-boot", field: "spec.firmware" }] : []),
    ...(launchSecurity === undefined
      ? []
      : ["kvm", launchSecurity].map((trait) => ({ trait, field: "spec.launchSecurity" }))),
    ...(tpm === undefined ? [] : ["vtpm", ENCRYPTION].map((trait) => ({ trait, field: "spec.tpm" }))),
    ...disks.flatMap(({ source }, index) =>
      source.kind === "new" && source.encryption !== undefined
        ? [{ trait: ENCRYPTION, field: `spec.disks[${index}].encryption` }]
        : [],
    ),
  ];
}

/**
 * Throws `conflict` HOST_LACKS_TRAIT for the first trait that this host lacks, with each field that needs it and
 * advice. Throws `unavailable` CAPACITY_UNKNOWN while the trait is not known.
 */
export async function requireAbilities(
  spec: VmSpec,
  { host, keys }: { readonly host: Pick<VmHost, "trait">; readonly keys: { check(): Promise<void> } },
): Promise<void> {
  const needs = needsOf(spec);
  for (const trait of new Set(needs.map((need) => need.trait))) {
    const fields = needs.flatMap((need) => (need.trait === trait ? [need.field] : []));
    if (trait === ENCRYPTION) {
      await keys.check().catch((cause: unknown) => {
        throw lacksTrait(trait, fields, toSocleError(cause).message);
      });
      continue;
    }
    const has = host.trait(trait);
    if (has === undefined) throw notKnown(trait);
    if (!has) throw lacksTrait(trait, fields, remedies[trait] ?? "choose a host that has it");
  }
}

const remedies: Readonly<Record<string, string>> = {
  uefi: "libvirt finds no UEFI firmware; install it (ovmf)",
  "secure-boot": "libvirt finds no UEFI firmware with secure boot; install it (ovmf)",
  vtpm: "libvirt finds no TPM emulator; install it (swtpm, swtpm-tools)",
};

function lacksTrait(trait: string, needing: readonly string[], why: string): SocleError {
  const fields = Object.fromEntries(needing.map((field) => [field, why]));
  const message = `${needing.join(", ")} is not possible on this host, which lacks the trait ${trait}: ${why}`;
  return new SocleError("conflict", "HOST_LACKS_TRAIT", message, {
    details: { fields, metadata: { dimension: "trait", trait } },
  });
}

const notKnown = (trait: string): SocleError =>
  new SocleError(
    "unavailable",
    "CAPACITY_UNKNOWN",
    `whether this host has the trait ${trait} is not known now; retry, and check socle inventory`,
    { details: { retryAfterMs: 2000 } },
  );
