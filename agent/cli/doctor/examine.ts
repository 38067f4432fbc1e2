import { SocleError } from "../../kernel/errors.ts";
import type { Config } from "../../config/schema.ts";
import { hintsFor } from "../errors.ts";
import type { Session } from "../session.ts";
import { askHost, examineAgent } from "./agent-checks.ts";
import { speaker, type Finding } from "./finding.ts";
import { checkGuestsUnit } from "./guests-check.ts";
import { checkNbdCertificates } from "./nbd-check.ts";
import { checkSocketDirectory } from "./socket-directory-check.ts";
import {
  checkClock,
  checkKvm,
  checkLibvirt,
  checkNode,
  checkStateDirectory,
  checkUnit,
} from "./host-checks.ts";
import { codeOf } from "../../kernel/thrown.ts";

/** Every check, in order of dependency. Never throws: a check that cannot run reports that. */
export async function* examine(
  session: Session,
  configPath: string,
): AsyncGenerator<Finding, void, undefined> {
  yield checkNode(process.versions.node);
  const { config, finding } = await checkConfig(configPath);
  yield finding;
  yield await checkLibvirt(config.libvirt.uri, session.io.env.XDG_RUNTIME_DIR);
  yield await checkKvm(config.vm.accelerator);
  // Queried first: a directory that is missing under a running agent is lost; a new one must not be made.
  const host = await askHost(session);
  yield await checkStateDirectory(config.state.directory, !(host instanceof SocleError));
  yield await checkSocketDirectory(config.guest.socketDirectory);
  const nbd = await checkNbdCertificates(config.backups.nbdAddress);
  if (nbd !== undefined) yield nbd;
  yield await checkClock();
  const unit = await checkUnit(session.io.env);
  if (unit !== undefined) yield unit;
  const guests = await checkGuestsUnit(session.io.env);
  if (guests !== undefined) yield guests;
  yield* examineAgent(session, config, host);
}

/** The configuration, or the defaults where it is unusable: the other checks need one. */
async function checkConfig(path: string): Promise<{ config: Config; finding: Finding }> {
  const say = speaker("config");
  const { loadConfig } = await import("../../config/load.ts");
  try {
    const { config, warnings } = await loadConfig(path);
    const finding =
      warnings.length === 0
        ? say.ok(`${path} is valid`)
        : say.warn(warnings.join("; "), "Change it if that is not intended.");
    return { config, finding };
  } catch (thrown) {
    const { config } = await loadConfig(undefined);
    if (!(thrown instanceof SocleError)) throw thrown;
    const missing = codeOf(thrown.cause) === "ENOENT";
    const finding = missing
      ? say.warn(`there is no ${path}`, `Make one: socle config show --example > ${path}`)
      : say.fail(
          thrown.message.replaceAll(/\n\s*/g, " "),
          [...hintsFor(thrown), `socle config check ${path}`].join(" "),
        );
    return { config, finding };
  }
}
