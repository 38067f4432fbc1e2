import * as z from "../kernel/zod.ts";

// The values of a VM's spec (spec.ts): names, sizes and addresses.

export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;
export const PLAIN_PAGE_BYTES = 4096;
/** Control characters (C0, C1, line separators, byte order mark) and lone surrogates: XML cannot contain them. */
const HOSTILE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\ufeff\ufffe\uffff]/u;

export const printable = (max: number) =>
  z
    .string()
    .max(max, `must be at most ${max} characters`)
    .refine((text) => !HOSTILE.test(text), "must not contain control characters");
export const deviceName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,19}$/, "must be 1 to 20 of a-z, 0-9 and '-', not beginning with '-'");
/** A device of the host, by PCI address or by the alias of one or several. */
export const hostDeviceName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9:._-]{0,63}$/, "must be a PCI address or an alias");
/** A pool, volume or network name: never a path. */
export const resourceName = z
  .string()
  .regex(
    /^[A-Za-z0-9_][A-Za-z0-9._+-]{0,127}$/,
    "must be 1 to 128 of A-Z, a-z, 0-9, '.', '_', '+' and '-', not beginning with '.' or '-'",
  );
export const uuid = z
  .string()
  .regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, "must be a lower-case UUID");
export const count = (max: number) =>
  z.int("must be a whole number").min(1, "must be at least 1").max(max, `must be at most ${max}`);
/** At most 1 PiB. */
export const bytes = z
  .int("must be a whole number of bytes")
  .positive("must be positive")
  .max(2 ** 50, "must be at most 1 PiB");

/** A volume that exists. */
export const volumeRef = z.strictObject({ pool: resourceName, volume: resourceName });

export const mac = z
  .string()
  .regex(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/, "must be like 52:54:00:12:34:56")
  .refine((text) => {
    const first = Number.parseInt(text.slice(0, 2), 16);
    return (first & 0b11) === 0b10 && first !== 0xfe;
  }, "must be a locally administered unicast address, and not begin with fe");
export const address = z.union([z.ipv4(), z.ipv6()], { error: "must be an IPv4 or IPv6 address" });

export const help = (description: string, example?: unknown) =>
  example === undefined ? { description } : { description, examples: [example] };

export const flag = (description: string, example: boolean) =>
  z.boolean().meta(help(description, example)).default(false);
