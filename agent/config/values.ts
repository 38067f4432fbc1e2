import * as z from "../kernel/zod.ts";
import { ipRanges, isAddress } from "../kernel/text/ip-ranges.ts";

// The kinds of values in the configuration, each with its bounds and its default.

export const DAY_SECONDS = 86_400;

export const flag = (usual: boolean) => z.boolean().default(usual);

export const number = (least: number, most: number, usual: number) =>
  z.number().min(least).max(most).default(usual);

export const whole = (least: number, most: number, usual: number) =>
  z.number().int().min(least).max(most).default(usual);

export const seconds = (usual: number) => number(0, DAY_SECONDS, usual);

export const absolutePath = z.string().regex(/^\/[^\0]*$/, "must be an absolute path");

export const hostPort = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):\d{1,5}$/, "must be ADDRESS:PORT, for example 127.0.0.1:7440")
  .refine(
    (value) => Number(value.slice(value.lastIndexOf(":") + 1)) <= 65535,
    "the port must be at most 65535",
  );

const isUnspecified = ipRanges(["0.0.0.0", "::"]);

/** One address of this host. */
export const ownAddress = z
  .string()
  .regex(/^[0-9a-fA-F.:]+$/, "must be an IP address")
  .refine(isAddress, "must be an IP address")
  .refine((text) => !isAddress(text) || !isUnspecified(text), "must be one address of this host");
