// See scripts/package.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmod,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { gzipSync } from "node:zlib";

const run = promisify(execFile);
const root = join(import.meta.dirname, "..");

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly license?: string;
}

/** A library in the bundles, with its licence text. */
interface Library extends Pick<Manifest, "name" | "version"> {
  readonly license: string;
  readonly words: string;
  /** The hash of the registry's package. */
  readonly sha512: string;
}

const { values: options } = parseArgs({
  options: { output: { type: "string" }, revision: { type: "string", default: "1" } },
});
const output = options.output ?? join(root, "dist");
const manifest = await json<Manifest>(join(root, "package.json"));
const version = `${manifest.version}-${options.revision}`;
// The date of every file, so that the build is reproducible.
const dateSeconds = Number(process.env["SOURCE_DATE_EPOCH"] ?? (await lastCommitSeconds()));

// Below the checkout: esbuild names a chunk by its content and its source map, which holds the way from here to the sources.
await mkdir(join(root, ".cache"), { recursive: true });
const work = await mkdtemp(join(root, ".cache/package-"));
try {
  const built = join(work, "built");
  const tree = join(work, "tree");
  await run(process.execPath, [join(root, "scripts/build.mjs"), built]);
  const libraries = await librariesIn(join(built, "metafile.json"));
  await lay(tree, built, libraries);
  const name = `socle_${version}_all.deb`;
  await mkdir(output, { recursive: true });
  await run("dpkg-deb", ["--root-owner-group", "-Zxz", "--build", tree, join(work, name)], {
    env: { ...process.env, SOURCE_DATE_EPOCH: String(dateSeconds) },
  });
  const deb = await readFile(join(work, name));
  await writeFile(join(output, `${name}.part`), deb);
  await rename(join(output, `${name}.part`), join(output, name));
  const sha256 = createHash("sha256").update(deb).digest("hex");
  process.stdout.write(
    `${join(output, name)}  ${(deb.length / 1e6).toFixed(2)} MB  ${libraries.length} libraries\n`,
  );
  process.stdout.write(`sha256 ${sha256}\n`);
} finally {
  await rm(work, { recursive: true, force: true });
}

/** Writes the package's files with their paths on the host, and dpkg's metadata and scripts in DEBIAN/. */
async function lay(tree: string, built: string, libraries: readonly Library[]): Promise<void> {
  const put = async (path: string, contents: string | Buffer): Promise<void> => {
    await mkdir(dirname(join(tree, path)), { recursive: true });
    await writeFile(join(tree, path), contents);
  };
  const take = async (from: string, path: string): Promise<void> =>
    cp(join(root, from), join(tree, path), { recursive: true });

  const parts = [
    "package.json",
    "socle.js",
    "chunks",
    "inventory-probe.js",
    "hardware-helper.js",
    "proto",
    "page",
  ];
  for (const part of parts)
    await cp(join(built, part), join(tree, "usr/lib/socle", part), {
      recursive: true,
      filter: (path) => !path.endsWith(".map"),
    });
  await mkdir(join(tree, "usr/bin"), { recursive: true });
  await symlink("../lib/socle/socle.js", join(tree, "usr/bin/socle"));
  for (const unit of [
    "socle-agent.service",
    "socle-guests.service",
    "socle-hardware.service",
    "socle-hardware.socket",
  ])
    await take(`systemd/${unit}`, `usr/lib/systemd/system/${unit}`);
  // The helper's root directory: mount points, and the links of a merged /usr.
  const helperRoot = join(tree, "usr/lib/socle/helper-root");
  for (const place of [
    "usr",
    "proc",
    "sys",
    "dev",
    "run",
    "tmp",
    "etc",
    "home",
    "root",
    "var/tmp",
    "var/lib/smartmontools",
  ])
    await mkdir(join(helperRoot, place), { recursive: true });
  for (const name of ["bin", "sbin", "lib", "lib64"]) await symlink(`usr/${name}`, join(helperRoot, name));
  await take("systemd/socle.sysusers", "usr/lib/sysusers.d/socle.conf");
  await take("systemd/socle.tmpfiles", "usr/lib/tmpfiles.d/socle.conf");
  await take("systemd/50-socle.rules", "usr/share/polkit-1/rules.d/50-socle.rules");
  await take("systemd/socle.apparmor", "etc/apparmor.d/abstractions/libvirt-qemu.d/socle");
  await take("systemd/completion/socle.bash", "usr/share/bash-completion/completions/socle");
  await take("systemd/prometheus", "usr/share/socle/prometheus");
  const example = await run(process.execPath, [join(built, "socle.js"), "config", "show", "--example"]);
  await put("etc/socle/agent.yaml", example.stdout);
  for (const page of await readdir(join(root, "systemd/man")))
    await put(
      `usr/share/man/man${page.at(-1) ?? ""}/${page}.gz`,
      gzipSync(await readFile(join(root, "systemd/man", page)), { level: 9 }),
    );

  const doc = "usr/share/doc/socle";
  // The pages keep their relative paths, so that their links work.
  const pages = (await readdir(root)).filter((name) => name.endsWith(".md"));
  const manuals = [
    "proto/README.md",
    "proto/clients.md",
    "proto/errors.md",
    "systemd/README.md",
    "systemd/runbooks.md",
  ];
  for (const page of [...pages, ...manuals, "agent/page/page.png"]) await take(page, `${doc}/${page}`);
  await put(`${doc}/copyright`, await copyright(libraries));
  await put(`${doc}/sbom.cdx.json`, `${JSON.stringify(sbom(libraries), null, 2)}\n`);
  await put(`${doc}/changelog.Debian.gz`, gzipSync(changelog(), { level: 9 }));

  await run("find", [tree, "-type", "d", "-exec", "chmod", "755", "{}", "+"]);
  await run("find", [tree, "-type", "f", "-exec", "chmod", "644", "{}", "+"]);
  await chmod(join(tree, "usr/lib/socle/socle.js"), 0o755);
  // Counted without DEBIAN/, in KiB of file content, so that it does not depend on the filesystem.
  const installedKib = Math.ceil((await sizeOf(join(tree, "usr"))) / 1024);
  await put("DEBIAN/control", control(installedKib));
  await put("DEBIAN/conffiles", "/etc/socle/agent.yaml\n/etc/apparmor.d/abstractions/libvirt-qemu.d/socle\n");
  await run("chmod", ["755", join(tree, "DEBIAN")]);
  for (const script of ["postinst", "prerm", "postrm"]) {
    await take(`systemd/deb/${script}`, `DEBIAN/${script}`);
    await chmod(join(tree, "DEBIAN", script), 0o755);
  }
  await put("DEBIAN/md5sums", await md5sums(tree));
}

function control(installedKib: number): string {
  return `Package: socle
Version: ${version}
Architecture: all
Maintainer: Socle's developers <socle@localhost>
Installed-Size: ${installedKib}
Depends: nodejs (>= 20.19), libvirt-daemon-system | libvirt-daemon-driver-qemu, systemd (>= 254), init-system-helpers
Recommends: qemu-system-x86 | qemu-system-arm, qemu-utils
Suggests: smartmontools, ipmitool, prometheus
Section: admin
Priority: optional
Description: hypervisor host agent
 Drives the VMs of this host through libvirt/KVM, reports its capacity and health
 to a scheduler over gRPC, and exposes Prometheus metrics of the hardware and
 the VMs. Stopping, upgrading or removing it never touches a guest.
`;
}

function changelog(): string {
  return (
    `socle (${version}) stable; urgency=medium\n\n  * Version ${manifest.version}; see README.md.\n\n` +
    ` -- Socle's developers <socle@localhost>  ${new Date(dateSeconds * 1000).toUTCString().replace("GMT", "+0000")}\n`
  );
}

/** Every library with code in a bundle, from esbuild's metafile. */
async function librariesIn(metafile: string): Promise<Library[]> {
  const { outputs } = await json<{ outputs: Record<string, { inputs: Record<string, unknown> }> }>(metafile);
  const lock = await json<{ packages: Record<string, { integrity?: string }> }>(
    join(root, "package-lock.json"),
  );
  const folders = new Set<string>();
  for (const { inputs } of Object.values(outputs))
    for (const path of Object.keys(inputs)) {
      const folder = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1];
      if (folder !== undefined) folders.add(folder);
    }
  return await Promise.all(
    [...folders].sort().map(async (folder) => {
      const { name, version, license } = await json<Manifest>(join(root, folder, "package.json"));
      const files = (await readdir(join(root, folder))).filter((file) =>
        /^(licen[cs]e|copying|notice)/i.test(file),
      );
      const words = await Promise.all(files.sort().map((file) => readFile(join(root, folder, file), "utf8")));
      if (license === undefined) throw new Error(`${folder} has no license field in its package.json`);
      const sha512 = lock.packages[folder]?.integrity?.replace("sha512-", "") ?? "";
      return { name, version, license, words: words.join("\n"), sha512 };
    }),
  );
}

async function copyright(libraries: readonly Library[]): Promise<string> {
  const own = await readFile(join(root, "LICENSE"), "utf8");
  const parts = libraries.map(
    ({ name, version, license, words }) =>
      `${name} ${version}: ${license}\n\n${words === "" ? "(Without a licence text of its own.)\n" : words}`,
  );
  return [`Socle ${manifest.version}: ${manifest.license ?? ""}\n\n${own}`, ...parts].join(
    `\n${"-".repeat(80)}\n\n`,
  );
}

/** CycloneDX 1.5, without a serial number and a build time, which would differ between builds. */
function sbom(libraries: readonly Library[]): object {
  const purl = (name: string, version: string): string =>
    `pkg:npm/${name.replace(/^@/, "%40")}@${encodeURIComponent(version)}`;
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: {
      timestamp: new Date(dateSeconds * 1000).toISOString(),
      component: {
        type: "application",
        "bom-ref": purl(manifest.name, manifest.version),
        name: manifest.name,
        version: manifest.version,
        licenses: [{ license: { id: manifest.license } }],
      },
    },
    components: libraries.map(({ name, version, license, sha512 }) => ({
      type: "library",
      "bom-ref": purl(name, version),
      name,
      version,
      purl: purl(name, version),
      licenses: [/ /.test(license) ? { expression: license } : { license: { id: license } }],
      ...(sha512 === ""
        ? {}
        : { hashes: [{ alg: "SHA-512", content: Buffer.from(sha512, "base64").toString("hex") }] }),
    })),
  };
}

/** The paths of the regular files below `tree`, sorted. */
async function filesIn(tree: string): Promise<string[]> {
  const entries = await readdir(tree, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

async function sizeOf(directory: string): Promise<number> {
  let bytes = 0;
  for (const path of await filesIn(directory)) bytes += (await readFile(path)).length;
  return bytes;
}

async function md5sums(tree: string): Promise<string> {
  let lines = "";
  for (const path of await filesIn(tree)) {
    const inside = path.slice(tree.length + 1);
    if (inside.startsWith("DEBIAN/") || inside.startsWith("etc/")) continue;
    lines += `${createHash("md5")
      .update(await readFile(path))
      .digest("hex")}  ${inside}\n`;
  }
  return lines;
}

async function lastCommitSeconds(): Promise<string> {
  return (await run("git", ["-C", root, "log", "-1", "--format=%ct"])).stdout.trim();
}

async function json<T>(path: string): Promise<T> {
  return JSON.parse(await readFile(path, "utf8")) as T;
}
