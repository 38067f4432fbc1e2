import { open } from "node:fs/promises";
import { SocleError } from "../kernel/errors.ts";
import { ConfigDocument } from "./document.ts";
import { explain } from "./explain.ts";
import { crossCheck, type Finding } from "./rules.ts";
import { configSchema, type Config } from "./schema.ts";
import { messageOf } from "../kernel/thrown.ts";

const maxBytes = 1024 * 1024;
const maxShown = 50;

interface LoadedConfig {
  readonly config: Config;
  /** Messages for the operator, each with its position in the file. */
  readonly warnings: readonly string[];
}

/**
 * The configuration in a YAML file; without a path, the defaults. Throws `invalid` CONFIG_UNREADABLE, or CONFIG_INVALID
 * with every problem as `FILE:LINE:COLUMN: key: problem` (details.fields: by key).
 */
export const loadConfig = async (path: string | undefined): Promise<LoadedConfig> =>
  parseConfig(path === undefined ? "" : await readText(path), path ?? "defaults");

/** The same from a text; messages call the file `name`. */
export function parseConfig(text: string, name: string): LoadedConfig {
  const document = new ConfigDocument(text, name);
  if (document.broken) throw invalid(name, document, document.findings);
  const parsed = configSchema.safeParse(document.value);
  const issues = parsed.error?.issues ?? [];
  const findings = [...document.findings, ...issues.flatMap((issue) => explain(issue, document.value))];
  // Reports all problems at once: valid keys are checked against each other even if other keys are invalid.
  const usable = parsed.success ? parsed : configSchema.safeParse(without(document.value, findings));
  const { problems, warnings } = usable.success ? crossCheck(usable.data) : { problems: [], warnings: [] };
  const all = [...findings, ...problems];
  if (!parsed.success || all.length > 0) throw invalid(name, document, all);
  return { config: parsed.data, warnings: warnings.map((warning) => document.format(warning)) };
}

function without(value: unknown, findings: readonly Finding[]): unknown {
  if (typeof value !== "object" || value === null) return {};
  const bad = new Set(findings.map(({ path }) => path.slice(0, 2).join(".")));
  return Object.fromEntries(
    Object.entries(value).flatMap(([section, keys]: [string, unknown]) => {
      if (bad.has(section) || typeof keys !== "object" || keys === null) return [];
      return [
        [section, Object.fromEntries(Object.entries(keys).filter(([key]) => !bad.has(`${section}.${key}`)))],
      ];
    }),
  );
}

function invalid(name: string, document: ConfigDocument, findings: readonly Finding[]): SocleError {
  const count = findings.length === 1 ? "1 problem" : `${findings.length} problems`;
  const shown = document.inOrder(findings).slice(0, maxShown);
  const lines = shown.map((finding) => `  ${document.format(finding)}`);
  if (findings.length > shown.length) lines.push(`  and ${findings.length - shown.length} more`);
  const fields = Object.fromEntries(shown.map(({ path, text }) => [path.join("."), text]));
  return new SocleError("invalid", "CONFIG_INVALID", [`${name} has ${count}:`, ...lines].join("\n"), {
    details: { fields },
  });
}

async function readText(path: string): Promise<string> {
  let bytes: Buffer;
  try {
    const file = await open(path, "r");
    try {
      if (!(await file.stat()).isFile()) throw new Error("it is not a regular file");
      bytes = Buffer.alloc(maxBytes + 1);
      let length = 0;
      for (let read; (read = await file.read(bytes, length, bytes.length - length)).bytesRead > 0;) {
        length += read.bytesRead;
      }
      bytes = bytes.subarray(0, length);
    } finally {
      await file.close();
    }
    if (bytes.length > maxBytes) throw new Error(`it is larger than ${maxBytes} bytes`);
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (thrown) {
    const why = messageOf(thrown);
    const message = `the configuration ${path} cannot be read: ${why}; \`socle config show --example\` prints one to start from`;
    throw new SocleError("invalid", "CONFIG_UNREADABLE", message, { cause: thrown });
  }
}
