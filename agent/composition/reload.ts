import type { AuditLog } from "../audit/index.ts";
import { loadConfig } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import { toSocleError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/log.ts";
import type { SdNotify } from "../kernel/lifecycle/sd-notify.ts";
import type { People, Trust } from "../trust/index.ts";
import { readPeopleKeys } from "./people.ts";

/** Rereads configuration and certificates. Applies what can change at runtime; names what needs a restart. */
export async function reload(
  path: string | undefined,
  running: {
    config: Config;
    trust: Trust;
    people: People;
    audit: Pick<AuditLog, "note">;
    log: Logger;
    systemd: SdNotify;
  },
): Promise<void> {
  const { config, trust, people, audit, log, systemd } = running;
  await systemd.reloading();
  await trust.reload();
  await readPeopleKeys(people, audit);
  const { changed, problem } = await readAgain(path, config, log);
  const sections = changed.length === 0 ? {} : { details: { changed: changed.join(" ") } };
  if (problem === undefined) audit.note({ act: "configuration_reloaded", outcome: "done", ...sections });
  else audit.note({ act: "configuration_reloaded", outcome: "failed", reason: problem });
  await systemd.ready(
    problem === undefined ? "reloaded" : "not reloaded: the configuration is invalid, see the log",
  );
}

/** The sections that differ from those in use, or why the file could not be read. */
async function readAgain(
  path: string | undefined,
  running: Config,
  log: Logger,
): Promise<{ changed: readonly string[]; problem?: string }> {
  try {
    const { config } = await loadConfig(path);
    log.level = config.log.level;
    const sections = Object.keys(config) as (keyof Config)[];
    const changed = sections.filter(
      (section) => JSON.stringify(config[section]) !== JSON.stringify(running[section]),
    );
    const needRestart = changed.filter((section) => section !== "log");
    log.info({ logLevel: config.log.level }, "configuration read again");
    if (needRestart.length > 0)
      log.warn({ needRestart }, "these sections changed; restart the agent to use them");
    return { changed };
  } catch (thrown) {
    log.error({ err: thrown }, "the configuration was not reloaded; the agent continues with the old one");
    return { changed: [], problem: toSocleError(thrown).reason };
  }
}
