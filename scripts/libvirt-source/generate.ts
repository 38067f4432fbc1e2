/** scripts/gen-libvirt: its header has the usage. */
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { format } from "oxfmt";
import { readApiDescription } from "./api-description.ts";
import { generatedFiles } from "./files.ts";

const root = join(import.meta.dirname, "../..");
const output = join(root, "agent/libvirt/protocol");
const fixture = join(root, "test/fixtures/libvirt-api.json");

async function formatted(tree: string): Promise<Map<string, string>> {
  const options = JSON.parse(readFileSync(join(root, ".oxfmtrc.json"), "utf8")) as Parameters<
    typeof format
  >[2];
  const files = new Map<string, string>();
  for (const [path, text] of generatedFiles(tree)) {
    const { code, errors } = await format(path, text, options);
    if (errors.length > 0) throw new Error(`${path}: ${JSON.stringify(errors)}`);
    files.set(path, code);
  }
  return files;
}

function write(files: ReadonlyMap<string, string>): void {
  rmSync(output, { recursive: true, force: true });
  for (const [file, text] of files) {
    const path = join(output, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
}

/** The paths whose committed content is another, or is missing, or should not be there. */
function differences(files: ReadonlyMap<string, string>): string[] {
  const committed = readdirSync(output, { recursive: true, encoding: "utf8" }).filter((file) =>
    file.endsWith(".ts"),
  );
  const contentOf = (file: string): string | undefined =>
    committed.includes(file) ? readFileSync(join(output, file), "utf8") : undefined;
  return [...new Set([...committed, ...files.keys()])].filter((file) => contentOf(file) !== files.get(file));
}

function fail(message: string, exitCode: number): void {
  process.stderr.write(`gen-libvirt: ${message}\n`);
  process.exitCode = exitCode;
}

const [source = "", option = ""] = process.argv.slice(2);
if (source === "--api") {
  writeFileSync(fixture, `${JSON.stringify(readApiDescription(option), null, 1)}\n`);
} else if (!existsSync(join(source, "src/remote/remote_protocol.x"))) {
  fail(`${source} is no libvirt source tree: it has no src/remote/remote_protocol.x`, 2);
} else if (option === "--check") {
  for (const file of differences(await formatted(source))) {
    fail(`agent/libvirt/protocol/${file} differs: run scripts/gen-libvirt ${source}`, 1);
  }
} else {
  write(await formatted(source));
}
