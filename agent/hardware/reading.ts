import { readFile } from "node:fs/promises";
import { codeOf, messageOf } from "../kernel/thrown.ts";
import { LATE, within } from "../kernel/concurrency/deadline.ts";
import { systemClock } from "../kernel/clock.ts";

/**
 * The result of a reader. `unsupported`: this machine lacks the hardware, which is no fault. `failed`: it exists but
 * could not be read, with the system's `code` (EACCES) if any. Neither is ever reported as zero.
 */
export type Reading<T> =
  | { readonly kind: "read"; readonly value: T }
  | { readonly kind: "unsupported"; readonly reason: string }
  | { readonly kind: "failed"; readonly reason: string; readonly code?: string };

export const valueOf = <T>(reading: Reading<T>): T | undefined =>
  reading.kind === "read" ? reading.value : undefined;

/** errno values that mean "permission denied". */
const DENIED = new Set(["EACCES", "EPERM"]);

/** Permission is denied, the program is not installed, or a controller hides the device. */
export function isNotWatched(reading: Reading<unknown>): boolean {
  if (reading.kind !== "failed") return false;
  return reading.code === NOT_INSTALLED || reading.code === HIDDEN || DENIED.has(reading.code ?? "");
}

/** The code of a reading whose program is not installed. */
export const NOT_INSTALLED = "ENOENT";
/** The code of a reading of a device that its controller hides and monitors itself. */
export const HIDDEN = "EREMOTE";

const READ_TIMEOUT_MS = 2000;
/** Multiplies each deadline. Tests raise it while they read the files of a whole machine and others hold the CPUs. */
export const readDeadline = { factor: 1 };
/** errno values that mean "this machine or kernel does not have it". */
const ABSENT = new Set(["ENOENT", "ENOTDIR", "ENODEV", "ENXIO", "EOPNOTSUPP", "ENOTSUP"]);
/** Each stuck read holds one of libuv's four file threads; the journal needs the others. */
const MAX_STUCK = 2;
const inFlight = new Map<string, Promise<Reading<unknown>>>();
const stuck = new Set<string>();

/**
 * Runs one reader under a deadline. Readers of the same `key` share a running read, so that a hung file holds one of
 * libuv's four file threads, never two. While a read is stuck past its deadline, further reads of its key return `failed`
 * at once; while two are stuck, reads of all keys do.
 */
export async function reading<T>(
  key: string,
  read: () => Promise<T>,
  timeoutMs = READ_TIMEOUT_MS,
): Promise<Reading<T>> {
  // Only this function writes the map, and a key always belongs to the same reader: its type is T.
  if (stuck.has(key)) return { kind: "failed", reason: `${key}: an earlier read is still stuck` };
  if (stuck.size >= MAX_STUCK)
    return { kind: "failed", reason: `${key} was not read: reads of ${[...stuck].join(" and ")} are stuck` };
  const shared = inFlight.get(key) as Promise<Reading<T>> | undefined;
  const run = shared ?? start(key, read);
  const waitMs = timeoutMs * readDeadline.factor;
  const answer = await within(systemClock, waitMs, run);
  if (answer !== LATE) return answer;
  stuck.add(key);
  return { kind: "failed", reason: `${key} did not answer within ${waitMs} ms` };
}

function start<T>(key: string, read: () => Promise<T>): Promise<Reading<T>> {
  const run = read()
    .then((value): Reading<T> => ({ kind: "read", value }), notRead<T>)
    .finally(() => {
      inFlight.delete(key);
      stuck.delete(key);
    });
  inFlight.set(key, run);
  return run;
}

function notRead<T>(cause: unknown): Reading<T> {
  const reason = messageOf(cause);
  const code = errorCode(cause);
  if (!isAbsent(cause)) return { kind: "failed", reason, code };
  const isFile = code === "ENOENT" && cause instanceof Error && "path" in cause;
  return { kind: "unsupported", reason: isFile ? `there is no ${String(cause.path)}` : reason };
}

/** Whether the error means that the file or device does not exist (any more). */
export const isAbsent = (cause: unknown): boolean => ABSENT.has(errorCode(cause));

/** The system's name of an error (ENOENT, EACCES), or "". */
export const errorCode = (cause: unknown): string => codeOf(cause) ?? "";

/** A file's trimmed text. */
export const readText = async (path: string): Promise<string> => (await readFile(path, "utf8")).trim();

/** errno values for "no value now": a speed without a link, a CPU or an array that is being removed. */
const NO_VALUE = new Set(["EINVAL", "EBUSY", "EAGAIN", "ENODATA"]);

/** As `readText`, but undefined for a file that does not exist, has no value, or that the agent may not read. */
export async function readTextIfThere(path: string): Promise<string | undefined> {
  try {
    return await readText(path);
  } catch (cause) {
    const code = errorCode(cause);
    if (isAbsent(cause) || NO_VALUE.has(code) || DENIED.has(code)) return undefined;
    throw cause;
  }
}

/** Parses a whole number; throws on any other text. */
export function parseWhole(text: string | undefined, what: string): number {
  const value = Number(text);
  if (text === undefined || text.trim() === "" || !Number.isSafeInteger(value))
    throw new Error(`${what} is not a whole number: ${JSON.stringify(text?.slice(0, 40))}`);
  return value;
}

/** Parses the kernel's number lists, e.g. "0-3,8": ascending. An empty text is an empty list. */
export function parseNumberList(text: string, what: string): number[] {
  const numbers: number[] = [];
  for (const range of text.split(",").filter((part) => part.trim() !== "")) {
    const [from, to = from, ...more] = range.split("-").map((part) => parseWhole(part, what));
    if (from === undefined || to === undefined || more.length > 0 || to - from > 65536)
      throw new Error(`${what} is not a list of numbers: ${JSON.stringify(text.slice(0, 40))}`);
    for (let number = from; number <= to; number += 1) numbers.push(number);
  }
  return numbers;
}
