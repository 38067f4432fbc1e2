import * as z from "../../kernel/zod.ts";
import { invalidField } from "../../kernel/errors.ts";
import { specEnums } from "../../contract/spec-enums.ts";
import { bytes, resourceName } from "../../contract/spec-values.ts";
import { vmSpec } from "../../contract/spec.ts";
import { newVolumeName, volumeName } from "../../contract/spec-volume-name.ts";

const SECTOR_BYTES = 512;
export const volumeCapacity = bytes.multipleOf(SECTOR_BYTES, `must be a multiple of ${SECTOR_BYTES} bytes`);
export const inSectors = (sizeBytes: number): number => Math.ceil(sizeBytes / SECTOR_BYTES) * SECTOR_BYTES;

const newVolume = z.object({
  pool: resourceName,
  name: volumeName,
  format: z.enum(specEnums.diskFormat.words),
  capacityBytes: volumeCapacity,
  tenant: vmSpec.shape.tenant.unwrap(),
});

/** A volume to make, by its name in its pool. Throws `invalid` SPEC_INVALID; `within`: the field of the request that has it. */
export function wantedVolume(request: z.input<typeof newVolume>, within?: string) {
  const { name, ...rest } = checkFields(newVolume, request, within);
  const volume = newVolumeName({ name, ...rest });
  if (volume !== undefined) return { ...rest, volume };
  const why = "is too long beside the tenant's: choose a shorter one";
  throw invalidField("SPEC_INVALID", fieldIn(within, "name"), why);
}

/** Throws `invalid` SPEC_INVALID naming the first wrong field. */
export function checkFields<T>(schema: z.ZodType<T>, value: unknown, within?: string): T {
  const { data, error } = schema.safeParse(value);
  if (data !== undefined) return data;
  const [issue] = error?.issues ?? [];
  const field = fieldIn(within, String(issue?.path[0] ?? ""));
  throw invalidField("SPEC_INVALID", field, issue?.message ?? "is invalid");
}

const fieldIn = (within: string | undefined, field: string): string =>
  within === undefined ? field : `${within}.${field}`;
