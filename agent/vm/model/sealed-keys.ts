import type { DiskSpec, VmSpec } from "../../contract/spec.ts";

/** A VM's sealed passphrases, by what they open (`disk/NAME`, `tpm`). */
export type SealedKeys = Readonly<Record<string, string>>;

/** The parts of a VM that have a passphrase of their own. */
export const keyedParts = ({
  disks,
  tpm,
}: Pick<VmSpec, "disks"> & Partial<Pick<VmSpec, "tpm">>): string[] => [
  ...disks.filter(isEncrypted).map(({ name }) => diskPart(name)),
  ...(tpm === undefined ? [] : [TPM_PART]),
];

/** Whether the disk has a passphrase of its own. */
export const isEncrypted = ({ source }: DiskSpec): boolean =>
  source.kind === "new" && source.encryption !== undefined;

export const TPM_PART = "tpm";

export const diskPart = (diskName: string): string => `disk/${diskName}`;

/** The id of the key that sealed it, from its text. */
export const sealerOf = (wrapped: string): string => wrapped.split(".")[1] ?? "";
