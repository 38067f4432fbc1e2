import { exitCodes, usageError } from "../errors.ts";
import { defaultConfigPath } from "../options.ts";
import type { Command } from "../session.ts";

/** The file, from the argument or from --config. */
function fileOf(
  [file]: readonly (string | undefined)[],
  { config }: Readonly<Record<string, unknown>>,
): string {
  if (file !== undefined && typeof config === "string")
    throw usageError("the file is given twice: leave out --config");
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
    if (session.json) throw usageError("--example prints a commented file: leave out --json");
    session.print((await import("../../config/example.ts")).exampleConfig());
    return exitCodes.ok;
  }
  const [{ loadConfig }, { redacted }, { stringify }] = await Promise.all([
    import("../../config/load.ts"),
    import("../../config/redact.ts"),
    import("../yaml.ts"),
  ]);
  const shown = redacted((await loadConfig(fileOf(args, options))).config);
  session.show(shown, () => stringify(shown));
  return exitCodes.ok;
};
