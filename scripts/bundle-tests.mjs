// Bundles test files for scripts/test: bundle-tests.mjs DIRECTORY FILE... writes each as an ES module of the same path below
// DIRECTORY, and shared modules as chunks. Otherwise tsx resolves and compiles about 200 modules again in each file's
// process, which takes about half of its CPU time.
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";

const repository = join(import.meta.dirname, "..");
const [directory, ...files] = process.argv.slice(2);

/** Modules find fixtures and programs relative to their source, so they keep the source's path. */
const places = {
  name: "places",
  setup({ onLoad }) {
    onLoad({ filter: /\.(ts|mjs)$/ }, async ({ path }) => {
      if (path.includes("/node_modules/")) return undefined;
      const place = { dirname: dirname(path), filename: path, url: pathToFileURL(path).href };
      const contents = (await readFile(path, "utf8")).replaceAll(
        /\bimport\.meta\.(dirname|filename|url)\b/g,
        (_, name) => JSON.stringify(place[name]),
      );
      return { contents, loader: path.endsWith(".ts") ? "ts" : "js" };
    });
  },
};

await build({
  absWorkingDir: repository,
  entryPoints: files,
  outbase: ".",
  outdir: directory,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  splitting: true,
  packages: "external",
  platform: "node",
  target: "node20",
  format: "esm",
  keepNames: true,
  sourcemap: "linked",
  logLevel: "error",
  plugins: [places],
});
