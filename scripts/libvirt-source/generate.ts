/** scripts/gen-libvirt: its header has the usage. */
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { readApiDescription } from "./api-description.ts";
import { generatedFiles } from "./files.ts";

const root = join(import.meta.dirname, "../..");
const output = join(root, "agent/libvirt/protocol");
const fixture = join(root, "test/fixtures/libvirt-api.json");

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
  for (const file of differences(generatedFiles(source))) {
    fail(`agent/libvirt/protocol/${file} differs: run scripts/gen-libvirt ${source}`, 1);
  }
} else {
  write(generatedFiles(source));
}
