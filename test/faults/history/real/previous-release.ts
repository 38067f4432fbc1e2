import { execFile } from "node:child_process";
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { CampaignRun } from "../../campaign.ts";
import type { History } from "../history.ts";

/** The last commit before the current formats of the state directory and of domain metadata: version 0.1.0. */
const COMMIT = "1f4b0c1bb9b20bf0925c65e5a2430567943b3902";

const repository = join(import.meta.dirname, "../../../..");
const execute = promisify(execFile);

/** Its bundle, or the reason for none. */
export type PreviousRelease =
  | { readonly bundle: string }
  | { readonly bundle: undefined; readonly why: string };

export const previousStartsIn = (history: History): number =>
  history.filter((event) => event.event === "agent_start" && event.version === "previous").length;

/** For a result: a run that never started the previous release did not test the upgrade; the result states why. */
export function previousFigures(
  previousStarts: number,
  previous: PreviousRelease,
): { readonly previousStarts: number; readonly noPreviousBecause?: string } {
  if (previousStarts > 0) return { previousStarts };
  const why = previous.bundle === undefined ? previous.why : "no history that was played begins with it";
  return { previousStarts, noPreviousBecause: why };
}

/** The previous release, built from this repository's history; none in a shallow clone without it. */
export async function previousRelease(run: CampaignRun): Promise<PreviousRelease> {
  const directory = await mkdtemp(join(tmpdir(), "socle-previous-"));
  run.cleanUp(() => rm(directory, { recursive: true, force: true }));
  const archive = join(directory, "source.tar");
  try {
    await execute("git", ["-C", repository, "archive", `--output=${archive}`, COMMIT]);
  } catch {
    const why = `commit ${COMMIT} is not in this clone`;
    run.log(`${why}: no history begins with the previous release`);
    return { bundle: undefined, why };
  }
  await execute("tar", ["-xf", archive, "-C", directory]);
  await symlink(join(repository, "node_modules"), join(directory, "node_modules"));
  const built = join(directory, "built");
  await execute(process.execPath, [join(directory, "scripts/build.mjs"), built]);
  return { bundle: join(built, "socle.js") };
}
