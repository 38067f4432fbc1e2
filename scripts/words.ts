// Checks the language of the repository: plain technical English (CONTRIBUTING.md).
//
//   node --import tsx scripts/words.ts          exits 1 for a banned turn of phrase and for a commit subject without an
//                                               area or over 72 characters; counts long sentences
//   node --import tsx scripts/words.ts --all    lists the long sentences too
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { bannedIn, isProse, longSentencesIn, subjectProblem } from "./words/rules.ts";

const root = join(import.meta.dirname, "..");
/** The parent of the first commit whose subject is checked. */
const SUBJECTS_SINCE = "8370637d5bfbfcbbe1b3f063577a1a9994fd50a5";
const CHECKED = /\.(ts|mts|mjs|js|md|proto|yaml|html|css|service|socket|sh|py)$|^(scripts|\.ci)\/[\w-]+$/;
const SKIPPED =
  /^(agent\/gen|agent\/libvirt\/protocol|test\/fixtures|test\/unit\/scripts\/words|scripts\/words)|CHANGELOG|LICENSE/;

const print = (line: string): void => void process.stdout.write(`${line}\n`);

const git = (...args: string[]): string =>
  execFileSync("git", args, { cwd: root, encoding: "utf8", maxBuffer: 2 ** 26 });

function subjects(): readonly string[] {
  try {
    return git("log", "--format=%h %s", `${SUBJECTS_SINCE}..HEAD`).trim().split("\n");
  } catch {
    print("note: commit subjects are not checked: this clone does not hold the commits");
    return [];
  }
}

let failures = 0;
let long = 0;
for (const line of subjects()) {
  const [commit = "", ...rest] = line.split(" ");
  const problem = subjectProblem(rest.join(" "));
  if (problem === undefined) continue;
  failures += 1;
  print(`${commit}: ${problem}: ${rest.join(" ")}`);
}
for (const file of git("ls-files", "--cached", "--others", "--exclude-standard").split("\n")) {
  if (!CHECKED.test(file) || SKIPPED.test(file) || !existsSync(join(root, file))) continue;
  const text = readFileSync(join(root, file), "utf8");
  for (const { line, phrase, instead } of bannedIn(text)) {
    failures += 1;
    print(`${file}:${line}: "${phrase}": write ${instead}`);
  }
  if (!isProse(file)) continue;
  for (const { line, words } of longSentencesIn(text)) {
    long += 1;
    if (process.argv.includes("--all")) print(`${file}:${line}: a sentence of ${words} words`);
  }
}
if (long > 0) print(`note: ${long} sentences over 30 words in the pages`);
process.exitCode = failures > 0 ? 1 : 0;
