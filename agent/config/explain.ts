import type { z } from "../kernel/zod.ts";
import { configKeys, keysAt, mayBeNull } from "./keys.ts";
import { nearest } from "./nearest.ts";
import type { Finding } from "./rules.ts";

const typeWords: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "a section of keys",
  record: "a map of texts",
  null: "nothing",
};

/** The schema's issue as a message for operators. Unknown keys are listed one by one, with a likely correction. */
export function explain(issue: z.core.$ZodIssue, value: unknown): Finding[] {
  const path = issue.path.map((step) => (typeof step === "symbol" ? step.toString() : step));
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => ({ path: [...path, key], text: `unknown key${meant(path, key)}` }));
    case "invalid_type": {
      const expected = typeWords[issue.expected] ?? issue.expected;
      return [{ path, text: `must be ${expected}, not ${kindOf(valueAt(value, path))}` }];
    }
    case "invalid_value": {
      const allowed = [...issue.values.map(String), ...(mayBeNull(path) ? ["null"] : [])];
      const given = valueAt(value, path);
      const near = typeof given === "string" ? nearest(given, allowed) : undefined;
      const hint = near === undefined ? "" : `; did you mean ${near}?`;
      const choice = allowed.length > 2 ? `one of ${allowed.join(", ")}` : allowed.join(" or ");
      return [{ path, text: `must be ${choice}${hint}` }];
    }
    case "too_small":
      return [{ path, text: `must ${measure(issue.origin)}be at least ${issue.minimum}` }];
    case "too_big":
      return [{ path, text: `must ${measure(issue.origin)}be at most ${issue.maximum}` }];
    default:
      return [{ path, text: issue.message }];
  }
}

const measure = (origin: string): string => (origin === "string" || origin === "array" ? "in length " : "");

function meant(path: readonly (string | number)[], key: string): string {
  const here = keysAt(path);
  const near = nearest(key, here);
  if (near !== undefined) return `; did you mean ${near}?`;
  const keys = configKeys();
  const name = nearest(key, [...new Set(keys.map((known) => known.name))]);
  const elsewhere = keys.filter((known) => known.name === name);
  if (elsewhere.length === 0) return `; known: ${here.join(", ")}`;
  return `; did you mean ${elsewhere.map((known) => `${known.section}.${known.name}`).join(" or ")}?`;
}

function valueAt(value: unknown, path: readonly (string | number)[]): unknown {
  let inner = value;
  for (const step of path) {
    if (typeof inner !== "object" || inner === null) return undefined;
    inner = (inner as Record<string | number, unknown>)[step];
  }
  return inner;
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return "empty";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a map";
  if (typeof value === "boolean") return "true or false";
  return typeof value === "number" ? "a number" : "text";
}
