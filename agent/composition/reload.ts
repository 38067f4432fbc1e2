import { loadConfig } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import type { Logger } from "../kernel/log.ts";
import type { SdNotify } from "../kernel/sd-notify.ts";
import type { Trust } from "../trust/index.ts";

/** Reads configuration and certificates again. What can change while running does; what needs a restart is named. */
export async function reload(
  path: string | undefined,
  running: { config: Config; trust: Trust; log: Logger; systemd: SdNotify },
): Promise<void> {
  const { config, trust, log, systemd } = running;
  await systemd.reloading();
  await trust.reload();
  await systemd.ready(await readAgain(path, config, log));
}

/** Says what came of it, in a line for `systemctl status`. */
async function readAgain(path: string | undefined, running: Config, log: Logger): Promise<string> {
  try {
    const { config } = await loadConfig(path);
    log.level = config.log.level;
    const sections = Object.keys(config) as (keyof Config)[];
    const needRestart = sections.filter(
      (section) => section !== "log" && JSON.stringify(config[section]) !== JSON.stringify(running[section]),
    );
    log.info({ logLevel: config.log.level }, "configuration read again");
    if (needRestart.length > 0)
      log.warn({ needRestart }, "these sections changed; restart the agent to use them");
    return "reloaded";
  } catch (thrown) {
    log.error({ err: thrown }, "the configuration was not read again; the agent goes on with the old one");
    return "not reloaded: the configuration is wrong, see the log";
  }
}
