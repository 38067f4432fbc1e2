import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { access, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

const run = promisify(execFile);
const repository = join(import.meta.dirname, "../..");
let work = "";
let deb = "";

/** Builds the package into a directory of its own with the same timestamp. `checkout`: where this checkout is seen. */
async function build(name: string, checkout = repository): Promise<string> {
  const env = { ...process.env, SOURCE_DATE_EPOCH: "1790000000" };
  const seen = 'mkdir -p "$1" && mount --bind "$0" "$1" && exec "$1/scripts/package" --output "$2"';
  const elsewhere = [
    "unshare",
    "--mount",
    "--propagation",
    "private",
    "sh",
    "-c",
    seen,
    repository,
    checkout,
  ];
  const [command = "", ...args] =
    checkout === repository ? [join(repository, "scripts/package"), "--output"] : elsewhere;
  await run(command, [...args, join(work, name)], { cwd: tmpdir(), env });
  const [file, ...others] = await readdir(join(work, name));
  assert.deepEqual(others, []);
  return join(work, name, file ?? "");
}

before(async () => {
  work = await mkdtemp(join(tmpdir(), "socle-package-test-"));
  deb = await build("first");
});
after(() => rm(work, { recursive: true, force: true }));

test("the package is reproducible, byte for byte, wherever the checkout is", async () => {
  const second = await build("second", join(work, "a/deeper/checkout"));
  assert.ok((await readFile(deb)).equals(await readFile(second)));
});

test("the package is for every architecture, holds what a host needs, and marks the configuration as a conffile", async () => {
  const field = async (name: string): Promise<string> =>
    (await run("dpkg-deb", ["--field", deb, name])).stdout.trim();
  assert.equal(await field("Architecture"), "all");
  assert.match(await field("Depends"), /nodejs \(>= 20\.19\)/);
  await run("dpkg-deb", ["--raw-extract", deb, join(work, "raw")]);
  const raw = (path: string): Promise<string> => readFile(join(work, "raw", path), "utf8");
  assert.equal(
    await raw("DEBIAN/conffiles"),
    "/etc/socle/agent.yaml\n/etc/apparmor.d/abstractions/libvirt-qemu.d/socle\n",
  );
  const check = await run(join(work, "raw/usr/lib/socle/socle.js"), [
    ...["config", "check", join(work, "raw/etc/socle/agent.yaml")],
  ]);
  assert.match(check.stdout, /valid/);
  for (const path of [
    "usr/lib/systemd/system/socle-agent.service",
    "usr/lib/systemd/system/socle-guests.service",
    "usr/lib/systemd/system/socle-hardware.service",
    "usr/lib/systemd/system/socle-hardware.socket",
    "usr/lib/socle/hardware-helper.js",
    "usr/lib/sysusers.d/socle.conf",
    "usr/share/polkit-1/rules.d/50-socle.rules",
    "etc/apparmor.d/abstractions/libvirt-qemu.d/socle",
    "usr/share/bash-completion/completions/socle",
    "usr/share/man/man1/socle.1.gz",
    "usr/share/socle/prometheus/socle.rules.yaml",
    "usr/share/doc/socle/README.md",
    "usr/share/doc/socle/proto/README.md",
    "usr/share/doc/socle/systemd/README.md",
    "usr/share/doc/socle/systemd/runbooks.md",
    "usr/share/doc/socle/agent/page/page.png",
  ])
    assert.notEqual(await raw(path), "", path);
  await run("md5sum", ["--check", "--quiet", "DEBIAN/md5sums"], { cwd: join(work, "raw") });
});

test("the SBOM lists every bundled library with version and licence, and the licence texts are included", async () => {
  const doc = join(work, "raw/usr/share/doc/socle");
  const { components } = JSON.parse(await readFile(join(doc, "sbom.cdx.json"), "utf8")) as {
    components: { name: string; version: string; licenses: object[]; hashes?: object[] }[];
  };
  const names = components.map(({ name }) => name);
  for (const library of ["@grpc/grpc-js", "prom-client", "pino", "zod"])
    assert.ok(names.includes(library), library);
  assert.ok(!names.includes("typescript"));
  for (const { name, version, licenses, hashes } of components)
    assert.ok(/^\d+\./.test(version) && licenses.length === 1 && hashes?.length === 1, name);
  const copyright = await readFile(join(doc, "copyright"), "utf8");
  assert.match(copyright, /Apache License/);
  for (const name of names) assert.ok(copyright.includes(`${name} `), name);
});

/** A separate root with these files, which dpkg passes to package scripts as DPKG_ROOT. */
async function rootWith(name: string, ...files: readonly string[]): Promise<string> {
  const root = join(work, name);
  for (const file of files) {
    await mkdir(dirname(join(root, file)), { recursive: true });
    await writeFile(join(root, file), "canary");
  }
  return root;
}

const noRoot =
  process.getuid?.() !== 0
    ? "not root: the package's user cannot be created"
    : spawnSync("systemd-sysusers", ["--version"]).status !== 0 &&
      "systemd-sysusers is not installed: run scripts/setup --tests";

test("an upgrade renames the old drop-in and warns of other ones", { skip: noRoot }, async () => {
  const root = join(work, "upgraded");
  await run("dpkg-deb", ["--extract", deb, root]);
  const dropIns = join(root, "etc/systemd/system/socle-agent.service.d");
  await mkdir(dropIns, { recursive: true });
  const upgrade = async (): Promise<string> => {
    const postinst = join(repository, "systemd/deb/postinst");
    return (await run("sh", [postinst, "configure", "0.0.9-1"], { env: { ...process.env, DPKG_ROOT: root } }))
      .stderr;
  };
  const four = "CAP_SYSLOG CAP_DAC_OVERRIDE CAP_SYS_ADMIN CAP_SYS_RAWIO";
  const shipped = `# A drop-in for hosts whose hardware the agent is to watch whole.
[Service]
AmbientCapabilities=${four}
CapabilityBoundingSet=${four}
# Capabilities in a user namespace of its own would not count for the host's kernel.
PrivateUsers=no
ProtectKernelLogs=no
DeviceAllow=/dev/kmsg r
DeviceAllow=/dev/ipmi0 rw
# smartctl opens the controller of an NVMe disk for reading.
DeviceAllow=char-nvme r
DeviceAllow=block-sd rw
`;
  const own =
    "[Service]\nIPAddressAllow=192.0.2.1\nCapabilityBoundingSet=\n# AmbientCapabilities=CAP_SYSLOG\n";
  await writeFile(join(dropIns, "hardware.conf"), shipped);
  await writeFile(join(dropIns, "networks.conf"), own);
  const printed = await upgrade();
  assert.match(printed, /hardware\.conf gave the agent rights .* renamed to hardware\.conf\.superseded/);
  assert.doesNotMatch(printed, /WARNING/);
  assert.deepEqual((await readdir(dropIns)).sort(), ["hardware.conf.superseded", "networks.conf"]);
  assert.equal(await readFile(join(dropIns, "hardware.conf.superseded"), "utf8"), shipped);
  assert.doesNotMatch(await upgrade(), /hardware\.conf|WARNING/);

  const changed = shipped.replaceAll(" CAP_SYS_ADMIN CAP_SYS_RAWIO", "");
  await writeFile(join(dropIns, "hardware.conf"), changed);
  await writeFile(join(dropIns, "override.conf"), shipped);
  const warned = await upgrade();
  for (const name of ["hardware.conf", "override.conf"]) {
    assert.match(warned, new RegExp(`WARNING: \\S*/${name} gives the agent.*capabilities`));
    await access(join(dropIns, name));
  }
});

test("a purge deletes the package's files, and names what remains and what encrypted disks need", async () => {
  const purge = async (root: string): Promise<string> => {
    const env = { ...process.env, DPKG_ROOT: root };
    return (await run("sh", [join(repository, "systemd/deb/postrm"), "purge"], { env })).stdout;
  };
  const kept = ["etc/socle/volume.key", "etc/socle-keys/volume.key", "var/lib/socle/audit/0001"];
  const root = await rootWith("used", ...kept, "var/lib/socle/host.json", "run/socle/agent.sock");
  const printed = await purge(root);
  assert.match(printed, /\/etc\/socle remains/);
  assert.match(printed, /audit log remains/);
  assert.match(printed, /encrypted disks need the volume key.*vm\.volumeKeyFile.*socle-volume-key/);
  for (const path of kept) await access(join(root, path));
  assert.deepEqual(await readdir(join(root, "var/lib/socle")), ["audit"]);
  assert.deepEqual(await readdir(join(root, "run")), []);

  const bare = await rootWith("bare", "var/lib/socle/host.json");
  await mkdir(join(bare, "etc/socle"), { recursive: true });
  assert.doesNotMatch(await purge(bare), /\/etc\/socle remains|log remains/);
  assert.deepEqual([await readdir(join(bare, "etc")), await readdir(join(bare, "var/lib"))], [[], []]);
});
