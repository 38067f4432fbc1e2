// Bundles the agent into dist/, which needs only Node and runs from any directory: socle.js, which loads from chunks/ what
// its command needs, inventory-probe.js (its child process) and hardware-helper.js (its privileged helper), each of one
// file, with source maps, proto/ (read at start) and page/ (the status page).
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
/** @type {import("esbuild").BuildOptions} */
const options = {
  absWorkingDir: root,
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
};
// To compile the whole agent takes longer than most commands run.
const command = build({
  ...options,
  entryPoints: { socle: "agent/main.ts" },
  splitting: true,
  chunkNames: "chunks/[name]-[hash]",
});
const children = build({
  ...options,
  entryPoints: {
    "inventory-probe": "agent/hardware/system/inventory-probe.ts",
    "hardware-helper": "agent/hardware/privileged/helper.ts",
  },
});
const outputs = Object.assign(
  {},
  ...(await Promise.all([command, children])).map(({ metafile }) => metafile.outputs),
);
const scripts = Object.keys(outputs).filter((path) => path.endsWith(".js"));
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
for (const path of scripts) {
  const text = await readFile(join(root, path), "utf8");
  await writeFile(join(root, path), text.replace(/[^\0-\x7f]/g, "?"));
}
// Without it, Node compiles each file as CommonJS first.
await writeFile(join(dist, "package.json"), `${JSON.stringify({ type: "module" })}\n`);
await chmod(join(dist, "socle.js"), 0o755);
// scripts/package lists the bundled libraries from it.
await writeFile(join(dist, "metafile.json"), JSON.stringify({ outputs }));

for (const path of scripts.filter((path) => !path.includes("/chunks/"))) {
  console.log(`build: ${path} ${(outputs[path].bytes / 1e6).toFixed(1)} MB`);
}
const sizeMb = scripts.reduce((sum, path) => sum + outputs[path].bytes, 0) / 1e6;
console.log(
  `build: ${scripts.length} files, ${sizeMb.toFixed(1)} MB, version ${version} in ${((performance.now() - started) / 1000).toFixed(1)} s`,
);
