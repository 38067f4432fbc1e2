import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { Libvirtd, libvirtdUnavailable } from "../support/libvirtd.ts";
import { virsh } from "../support/virsh.ts";

// The package as its users have it: packed, installed into an empty project, and driven by the programs of its README.

const root = join(import.meta.dirname, "../..");
const modules = join(root, "node_modules");
const source = join(root, "agent/libvirt");
const tsc = join(modules, "typescript/bin/tsc");
const releases = ["20", "22", "24"];
const DEADLINE_MS = 180_000;

async function run(command: string, args: readonly string[], cwd: string): Promise<string> {
  const env = { ...process.env, npm_config_update_notifier: "false" };
  try {
    const { stdout } = await promisify(execFile)(command, args, { cwd, env, timeout: DEADLINE_MS });
    return stdout;
  } catch (cause) {
    const { stdout = "", stderr = "" } = cause as { stdout?: string; stderr?: string };
    throw new Error(`${command} ${args.join(" ")} failed: ${stdout}${stderr}`, { cause });
  }
}

const install = ["install", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"];

/** The code blocks of the README in that language, for the daemon of this test. */
async function blocks(language: string, uri: string): Promise<string[]> {
  const text = await readFile(join(source, "README.md"), "utf8");
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, "gms"))].map(([, code = ""]) =>
    code.replaceAll("qemu:///system", uri),
  );
}

/** One program of all blocks: imports first, then each in a scope of its own, except the one that connects. */
function asProgram(code: readonly string[]): string {
  const isImport = (line: string): boolean => line.startsWith("import ");
  const imports = new Set(code.flatMap((block) => block.split("\n").filter(isImport)));
  const bodies = code.map((block) =>
    block
      .split("\n")
      .filter((line) => !isImport(line))
      .join("\n"),
  );
  const [connection = "", ...rest] = bodies;
  return [...imports, connection, ...rest.map((body) => `{${body}}`)].join("\n");
}

const domainXml = `<domain type='qemu'><name>web-1</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os><devices><serial type='pty'/></devices></domain>`;

/** That release of Node: the one that runs this, or the binary that an npm package brings. */
async function nodeOf(release: string, directory: string): Promise<string> {
  if (process.versions.node.startsWith(`${release}.`)) return process.execPath;
  const name = `node-linux-${process.arch}`;
  const project = join(directory, `node-${release}`);
  await mkdir(project);
  await writeFile(join(project, "package.json"), JSON.stringify({ private: true }));
  await run("npm", [...install, `${name}@${release}`], project);
  const node = join(project, "node_modules", name, "bin/node");
  await chmod(node, 0o755);
  return node;
}

const skip = process.arch === "x64" ? libvirtdUnavailable() : "the README's example is a domain of x86-64";

describe("the package @socle/libvirt", { skip }, () => {
  let libvirtd: Libvirtd;
  let directory: string;
  let project: string;
  const disk = randomBytes(1_000_000);

  before(async () => {
    libvirtd = await Libvirtd.start();
    directory = await mkdtemp(join(tmpdir(), "socle-libvirt-package-"));
    project = join(directory, "project");
    await mkdir(project);

    // Packed from a copy: the build must not show up in the tree while other tests read it.
    const copy = join(directory, "package");
    await cp(source, copy, { recursive: true, filter: (path) => basename(path) !== "dist" });
    await symlink(modules, join(copy, "node_modules"));
    const [packed] = JSON.parse(
      await run("npm", ["pack", "--json", "--pack-destination", directory], copy),
    ) as [{ readonly filename: string; readonly files: readonly { readonly path: string }[] }];
    const paths = packed.files.map(({ path }) => path);
    assert.deepEqual(
      paths.filter((path) => !path.startsWith("dist/")),
      ["CHANGELOG.md", "LICENSE", "README.md", "package.json"],
    );
    assert.ok(paths.every((path) => !path.endsWith(".ts") || path.endsWith(".d.ts")));

    await writeFile(join(project, "package.json"), JSON.stringify({ private: true, type: "module" }));
    await run("npm", [...install, join(directory, packed.filename)], project);
    await writeFile(join(project, "first.js"), (await blocks("js", libvirtd.uri)).join("\n"));
    await writeFile(join(project, "examples.ts"), asProgram(await blocks("ts", libvirtd.uri)));
    await writeFile(join(project, "disk.img"), disk);
    const typescript = {
      target: "es2022",
      lib: ["es2023", "esnext.disposable"],
      module: "nodenext",
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      skipLibCheck: false,
      typeRoots: [join(modules, "@types")],
      types: ["node"],
      outDir: "out",
    };
    await writeFile(
      join(project, "tsconfig.json"),
      JSON.stringify({ compilerOptions: typescript, files: ["examples.ts"] }),
    );

    const pool = `<pool type='dir'><name>default</name><target><path>${libvirtd.imagesDirectory}</path></target></pool>`;
    await writeFile(join(directory, "pool.xml"), pool);
    await writeFile(join(directory, "domain.xml"), domainXml);
    await virsh(libvirtd.uri, ["pool-define", join(directory, "pool.xml")]);
    await virsh(libvirtd.uri, ["pool-start", "default"]);
    await virsh(libvirtd.uri, ["define", join(directory, "domain.xml")]);
  });

  after(async () => {
    await libvirtd.stop();
    await rm(directory, { recursive: true });
  });

  it("depends on nothing but its XML parser", async () => {
    const installed = await readdir(join(project, "node_modules"));
    assert.deepEqual(
      installed.filter((name) => !name.startsWith(".")),
      // xmlchars is what saxes depends on.
      ["@socle", "saxes", "xmlchars"],
    );
  });

  it("has declarations that a strict program compiles against, library checks included", async () => {
    await run(process.execPath, [tsc, "-p", "."], project);
  });

  for (const release of releases) {
    it(`runs the programs of its README on Node ${release}`, async (t) => {
      let node: string;
      try {
        node = await nodeOf(release, directory);
      } catch (thrown) {
        t.skip(`Node ${release} cannot be had here: ${String(thrown).slice(0, 300)}`);
        return;
      }
      assert.match(await run(node, ["--version"], project), new RegExp(`^v${release}\\.`));
      assert.equal(await run(node, ["first.js"], project), "web-1: shutoff, 64 MiB\n");

      const printed = await run(node, ["out/examples.js"], project);
      for (const line of [
        "{ state: 'paused', reason: 'user' }",
        `${64 * 2 ** 20}`,
        "stopped destroyed",
        "LIBVIRT_NO_DOMAIN 42",
        `${2 ** 20} 1 true`,
        "{ type: 'QEMU' }",
      ])
        assert.ok(printed.includes(line), `${line} is not in: ${printed}`);
      assert.match(printed, /<owner team="web"\/>/);

      assert.equal(await virsh(libvirtd.uri, ["list", "--all", "--name"]), "web-1");
      assert.equal(await virsh(libvirtd.uri, ["domstate", "web-1"]), "shut off");
      const copy = join(directory, `disk-${release}.img`);
      await virsh(libvirtd.uri, ["vol-download", "--pool", "default", "disk.img", copy]);
      assert.ok((await readFile(copy)).subarray(0, disk.length).equals(disk));
      await virsh(libvirtd.uri, ["vol-delete", "--pool", "default", "disk.img"]);
    });
  }
});
