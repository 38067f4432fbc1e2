import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { access, mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { succeeds } from "../../agent/kernel/thrown.ts";
import { seedImage } from "../../agent/vm/storage/seed.ts";
import { publicKey } from "../support/vm/seeds.ts";

const run = promisify(execFile);
const repository = join(import.meta.dirname, "../..");
const unpacked = join(repository, ".cache/cloud-init");
const modules = join(unpacked, "usr/lib/python3/dist-packages");
/** cloud-init and the modules that it imports; downloaded and unpacked, never installed. */
const packages = ["cloud-init", "python3-configobj", "python3-jinja2", "python3-markupsafe", "python3-yaml"];
packages.push("python3-jsonpatch", "python3-json-pointer", "python3-requests", "python3-urllib3");
packages.push("python3-idna", "python3-certifi", "python3-chardet", "python3-charset-normalizer");

/** Why cloud-init is not available; false: it is in `unpacked`. */
async function cloudInitUnavailable(): Promise<string | false> {
  if (!(await succeeds(run("xorriso", ["-version"])))) return "xorriso is not installed";
  if (await succeeds(access(unpacked))) return false;
  await mkdir(join(repository, ".cache"), { recursive: true });
  const work = await mkdtemp(join(repository, ".cache/cloud-init."));
  try {
    await run("apt-get", ["-q", "download", ...packages], { cwd: work, timeout: 120_000 });
    for (const file of await readdir(work))
      await run("dpkg-deb", ["-x", join(work, file), join(work, "root")]);
    await rename(join(work, "root"), unpacked);
    return false;
  } catch {
    return `Debian's packages of cloud-init cannot be downloaded (apt-get download ${packages[0] ?? ""})`;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

const skip = await cloudInitUnavailable();

test("Debian's cloud-init finds host name, keys, user data and networks in a seed", { skip }, async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "socle-cloud-init-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const seed = {
    instance: "0b0c7c1e-9d2f-4f59-8f0e-2f4a8f6f5d10",
    hostname: "web-1.example.com",
    sshKeys: [publicKey],
    macs: ["52:54:00:12:34:56", "52:54:00:12:34:57"],
    userData: "#cloud-config\npackages: [nginx] # é\n",
  };
  const image = join(directory, "seed.iso");
  await writeFile(image, seedImage(seed));
  const files = join(directory, "files");
  const input = ["-read_fs", "norock", "-indev", `stdio:${image}`];
  await run("xorriso", [...input, "-osirrox", "on", "-extract", "/", files]);
  const program = join(import.meta.dirname, "cloud-init.py");
  const env = { ...process.env, TMPDIR: directory, PYTHONDONTWRITEBYTECODE: "1" };
  const { stdout } = await run("python3", [program, modules, files], { env, timeout: 60_000 });
  const { networks, ...found } = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as {
    networks: Record<string, string>;
  };
  const { instance, hostname, userData } = seed;
  assert.deepEqual(found, { found: true, instance, hostname, keys: [publicKey], userData });
  const [first = "", second = ""] = Object.values(networks);
  assert.equal(Object.keys(networks).length, 2);
  assert.match(first, /MACAddress=52:54:00:12:34:56\nName=eth0\n[^]*DHCP=yes/);
  assert.doesNotMatch(first, /RequiredForOnline/);
  assert.match(second, /RequiredForOnline=no[^]*MACAddress=52:54:00:12:34:57\nName=eth1\n/);
});
