import { exitCodes } from "../errors.ts";
import type { Command } from "../session.ts";

export const checkConfig: Command = async (session, [file]) => {
  const { loadConfig } = await import("../../config/load.ts");
  const { warnings } = await loadConfig(file);
  if (session.json) session.printJson({ file, valid: true, warnings });
  else {
    for (const warning of warnings) session.note(`${session.paintNote("yellow", "warning:")} ${warning}`);
    session.print(`${file ?? ""}: ${session.paint("green", "valid")}\n`);
  }
  return exitCodes.ok;
};

export const showConfig: Command = async (session, [file], options) => {
  if (options.example === true) {
    session.print((await import("../../config/example.ts")).exampleConfig());
    return exitCodes.ok;
  }
  const [{ loadConfig }, { redacted }, { stringify }] = await Promise.all([
    import("../../config/load.ts"),
    import("../../config/redact.ts"),
    import("yaml"),
  ]);
  const shown = redacted((await loadConfig(file)).config);
  if (session.json) session.printJson(shown);
  else session.print(stringify(shown));
  return exitCodes.ok;
};
