// Bundles the agent into dist/: socle.js (one file, needs only Node, runs from any directory), inventory-probe.js (its
// child process), hardware-helper.js (its privileged helper), with source maps, proto/ (read at start) and page/ (the
// status page).
//
//   node scripts/build.mjs [DIRECTORY]   into DIRECTORY instead, which is not emptied first, unlike dist/
import { chmod, cp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { extname, join, resolve } from "node:path";
import { performance } from "node:perf_hooks";
import { build } from "esbuild";

const root = join(import.meta.dirname, "..");
const dist = resolve(process.argv[2] ?? join(root, "dist"));
const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
const started = performance.now();

if (process.argv[2] === undefined) await rm(dist, { recursive: true, force: true });
const result = await build({
  absWorkingDir: root,
  entryPoints: {
    socle: "agent/main.ts",
    "inventory-probe": "agent/hardware/system/inventory-probe.ts",
    "hardware-helper": "agent/hardware/privileged/helper.ts",
  },
  outdir: dist,
  bundle: true,
  platform: "node",
  target: "node20.19",
  format: "esm",
  // Identifiers and source maps stay, since a daemon's stack traces matter more than its size. Not keepNames: it defines a
  // name at each creation of a closure, which took a quarter of a call's CPU time. V8 keeps the text of a script in memory,
  // so blanks go, and lines stay short enough for a trace's line number to be useful.
  minify: false,
  minifyWhitespace: true,
  lineLimit: 160,
  sourcemap: "linked",
  legalComments: "eof",
  define: { SOCLE_VERSION: JSON.stringify(version) },
  // grpc-js and others are CommonJS and call require() for Node's own modules.
  banner: {
    js: 'import { createRequire as socleCreateRequire } from "node:module";\nconst require = socleCreateRequire(import.meta.url);',
  },
  metafile: true,
  logLevel: "warning",
});
await cp(join(root, "proto"), join(dist, "proto"), {
  recursive: true,
  filter: async (path) => (await stat(path)).isDirectory() || [".proto", ".binpb"].includes(extname(path)),
});
await cp(join(root, "agent/page/browser"), join(dist, "page"), {
  recursive: true,
  filter: (path) => !path.endsWith(".json"),
});
// V8 keeps the text of a script with two bytes per character if any character is not ASCII. esbuild escapes those in code,
// so the rest is in comments. They are replaced one for one, since source maps count characters.
for (const name of ["socle.js", "inventory-probe.js", "hardware-helper.js"]) {
  const text = await readFile(join(dist, name), "utf8");
  await writeFile(join(dist, name), text.replace(/[^\0-\x7f]/g, "?"));
}
await chmod(join(dist, "socle.js"), 0o755);
// scripts/package lists the bundled libraries from it.
await writeFile(join(dist, "metafile.json"), JSON.stringify(result.metafile));

for (const [path, { bytes }] of Object.entries(result.metafile.outputs)) {
  if (path.endsWith(".js")) console.log(`build: ${path} ${(bytes / 1e6).toFixed(1)} MB`);
}
console.log(`build: version ${version} in ${((performance.now() - started) / 1000).toFixed(1)} s`);
