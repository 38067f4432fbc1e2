import { exitCodes, usageError } from "../errors.ts";
import { defaultConfigPath } from "../options.ts";
import type { Command } from "../session.ts";

/** The file that is meant, by its place or by --config. */
function fileOf(
  [file]: readonly (string | undefined)[],
  { config }: Readonly<Record<string, unknown>>,
): string {
  if (file !== undefined && typeof config === "string")
    throw usageError("the file is given twice: leave --config out");
  return typeof config === "string" ? config : (file ?? defaultConfigPath);
}

export const checkConfig: Command = async (session, args, options) => {
  const file = fileOf(args, options);
  const { loadConfig } = await import("../../config/load.ts");
  const { warnings } = await loadConfig(file);
  if (session.json) session.printJson({ file, valid: true, warnings });
  else {
    for (const warning of warnings) session.note(`${session.paintNote("yellow", "warning:")} ${warning}`);
    session.print(`${file}: ${session.paint("green", "valid")}\n`);
  }
  return exitCodes.ok;
};

export const showConfig: Command = async (session, args, options) => {
  if (options.example === true) {
    if (session.json) throw usageError("--example is a file with words for people: leave --json out");
    session.print((await import("../../config/example.ts")).exampleConfig());
    return exitCodes.ok;
  }
  const [{ loadConfig }, { redacted }, { stringify }] = await Promise.all([
    import("../../config/load.ts"),
    import("../../config/redact.ts"),
    import("yaml"),
  ]);
  const shown = redacted((await loadConfig(fileOf(args, options))).config);
  if (session.json) session.printJson(shown);
  else session.print(stringify(shown));
  return exitCodes.ok;
};
