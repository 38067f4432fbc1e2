import { execFile } from "node:child_process";
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { CampaignRun } from "../../campaign.ts";

/** The last commit before the state directory and the metadata of domains got the formats of today: version 0.1.0. */
const COMMIT = "1f4b0c1bb9b20bf0925c65e5a2430567943b3902";

const repository = join(import.meta.dirname, "../../../..");
const execute = promisify(execFile);

/** The previous release, built from this repository's history; undefined where a clone is too shallow for it. */
export async function previousRelease(run: CampaignRun): Promise<string | undefined> {
  const directory = await mkdtemp(join(tmpdir(), "socle-previous-"));
  run.cleanUp(() => rm(directory, { recursive: true, force: true }));
  const archive = join(directory, "source.tar");
  try {
    await execute("git", ["-C", repository, "archive", `--output=${archive}`, COMMIT]);
  } catch {
    run.say(`commit ${COMMIT} is not in this clone: no history begins with the previous release`);
    return undefined;
  }
  await execute("tar", ["-xf", archive, "-C", directory]);
  await symlink(join(repository, "node_modules"), join(directory, "node_modules"));
  const built = join(directory, "built");
  await execute(process.execPath, [join(directory, "scripts/build.mjs"), built]);
  return join(built, "socle.js");
}
