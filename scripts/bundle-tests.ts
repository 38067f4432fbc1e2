// Bundles test files and programs for scripts/test: bundle-tests.ts DIRECTORY FILE... [-- PROGRAM...] writes each as an ES module
// of the same path below DIRECTORY, what they share as chunks, and modules group-N.mjs that each import some FILEs. tsx would resolve and
// compile some 200 modules anew in the process of each file, which takes about half of its CPU time.
import { readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build, type Plugin } from "esbuild";

const repository = join(import.meta.dirname, "..");
const FILES_PER_GROUP = 12;

const unchanged: ReadonlyMap<string, string> = new Map();

/**
 * Writes each of the repository's `files` as an ES module of the same path below `directory`, which is in the repository.
 * `changed`: sources to compile instead of the repository's, by their paths in it.
 */
export async function bundle(
  directory: string,
  files: readonly string[],
  changed = unchanged,
): Promise<void> {
  await build({
    absWorkingDir: repository,
    entryPoints: [...files],
    outbase: ".",
    outdir: directory,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: true,
    packages: "external",
    platform: "node",
    target: "node20",
    format: "esm",
    sourcemap: "linked",
    logLevel: "error",
    plugins: [sources(await modulesWithPlace(), changed)],
  });
}

/** The path of a file's module in the directory of its bundle. */
export const moduleOf = (file: string): string => file.replace(/\.ts$/, ".mjs");

/**
 * A module finds fixtures and programs beside its source, so it keeps the source's place. For a module that is passed to a
 * plugin, esbuild takes twice the CPU time, so most are not.
 */
const sources = (placed: readonly string[], changed: ReadonlyMap<string, string>): Plugin => ({
  name: "sources",
  setup(bundler) {
    const names = [...new Set([...placed, ...changed.keys()])].map((name) => name.replaceAll(".", "\\."));
    bundler.onLoad({ filter: new RegExp(`/(?:${names.join("|")})$`) }, async ({ path }) => {
      const places = new Map([
        ["dirname", dirname(path)],
        ["filename", path],
        ["url", pathToFileURL(path).href],
      ]);
      const source = changed.get(relative(repository, path)) ?? (await readFile(path, "utf8"));
      const contents = source.replaceAll(new RegExp(place, "g"), (_, name: string) =>
        JSON.stringify(places.get(name)),
      );
      return { contents, loader: path.endsWith(".ts") ? "ts" : "js" };
    });
  },
});

const place = /\bimport\.meta\.(dirname|filename|url)\b/;
let withPlace: Promise<string[]> | undefined;

/** The repository's modules that use their own place. */
const modulesWithPlace = (): Promise<string[]> => (withPlace ??= findModulesWithPlace());

async function findModulesWithPlace(): Promise<string[]> {
  const found: string[] = [];
  for (const top of ["agent", "scripts", "test"])
    for (const name of await readdir(join(repository, top), { recursive: true })) {
      const path = join(top, name);
      if (/\.(ts|mjs)$/.test(path) && place.test(await readFile(join(repository, path), "utf8")))
        found.push(path);
    }
  return found;
}

/** A test that ends its process would end the other files of its group unseen: Node takes exit code 0 for success. */
const guard = `let isOver = false;
process.once("beforeExit", () => (isOver = true));
process.once("exit", () => {
  if (!isOver) process.exitCode = 1;
});
`;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [directory = "", ...all] = process.argv.slice(2);
  const files = all.includes("--") ? all.slice(0, all.indexOf("--")) : all;
  await bundle(
    directory,
    all.filter((file) => file !== "--"),
  );
  await writeFile(join(repository, directory, "guard.mjs"), guard);
  for (let first = 0; first < files.length; first += FILES_PER_GROUP) {
    const group = files.slice(first, first + FILES_PER_GROUP);
    const modules = ["guard.mjs", ...group.map(moduleOf)];
    const imports = modules.map((module) => `import ${JSON.stringify(`./${module}`)};\n`);
    await writeFile(join(repository, directory, `group-${first / FILES_PER_GROUP}.mjs`), imports.join(""));
  }
}
