import type { VmSpec } from "./spec.ts";

/** A passphrase of a VM's: what it opens there (`disk/NAME`, `tpm`), and the passphrase as it is kept, sealed. */
export type SealedKeys = Readonly<Record<string, string>>;

/** What of a VM has a passphrase of its own. */
export const keyedParts = ({ disks, tpm }: Pick<VmSpec, "disks" | "tpm">): string[] => [
  ...disks.flatMap(({ name, source }) =>
    source.kind === "new" && source.encryption !== undefined ? [diskPart(name)] : [],
  ),
  ...(tpm === undefined ? [] : [TPM_PART]),
];

export const TPM_PART = "tpm";

export const diskPart = (diskName: string): string => `disk/${diskName}`;

/** The id of the key that sealed it, as it says. */
export const sealerOf = (wrapped: string): string => wrapped.split(".")[1] ?? "";
