import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const repository = join(import.meta.dirname, "../..");

/**
 * scripts/test bundles the agent and the tests' programs once for all tests, since to compile them from the sources takes more
 * CPU time than most of them use. A test that is run by itself takes the sources.
 */
const bundled = process.env["SOCLE_TEST_BUNDLE"];

/** The shipped agent of this tree, where it is built. */
export const builtAgent = bundled === undefined ? undefined : join(bundled, "agent/socle.js");

/** Node's arguments that run `socle`. */
export const socleCommand: readonly string[] =
  builtAgent === undefined ? fromSources("agent/main.ts") : [builtAgent];

/** Node's arguments that run a program of the tests, named by its path in the repository. */
export function program(path: string): readonly string[] {
  const built = builtFrom(path);
  return built === undefined ? fromSources(path) : [built];
}

/** Node's arguments that run `text`, which imports modules by the URLs that `urlOf` returns for their paths. */
export function script(text: (urlOf: (path: string) => string) => string): readonly string[] {
  const unbuilt: string[] = [];
  const source = text((path) => {
    const built = builtFrom(path);
    if (built === undefined) unbuilt.push(path);
    return pathToFileURL(built ?? join(repository, path)).href;
  });
  return [...(unbuilt.length > 0 ? ["--import", "tsx"] : []), "--input-type=module", "-e", source];
}

function builtFrom(path: string): string | undefined {
  const built = bundled === undefined ? undefined : join(bundled, path.replace(/\.ts$/, ".mjs"));
  return built !== undefined && existsSync(built) ? built : undefined;
}

function fromSources(path: string): readonly string[] {
  return ["--import", import.meta.resolve("tsx"), join(repository, path)];
}
