import { execFile } from "node:child_process";
import { mkdir, readFile, symlink } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const repository = join(import.meta.dirname, "../..");
const run = promisify(execFile);

/** Writes the files of a commit into a new directory, with their node_modules. */
export async function checkOut(commit: string, directory: string): Promise<void> {
  await mkdir(directory);
  const archive = `${directory}.tar`;
  await run("git", ["-C", repository, "archive", "--format=tar", `--output=${archive}`, commit]);
  await run("tar", ["-xf", archive, "-C", directory]);
  const lockOf = (root: string): Promise<string> => readFile(join(root, "package-lock.json"), "utf8");
  if ((await lockOf(repository)) === (await lockOf(directory)))
    await symlink(join(repository, "node_modules"), join(directory, "node_modules"));
  else await run("npm", ["ci", "--no-audit", "--no-fund"], { cwd: directory });
}
