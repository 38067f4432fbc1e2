// The commands of README.md and systemd/README.md, as readers run them, on a host of the test's own.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFile, cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { readPage, repository } from "../support/docs/pages.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { builtAgent } from "../support/programs.ts";
import { SocleHost } from "../support/socle-host.ts";

const LINE_TIMEOUT_MS = 120_000;

/** Lines that are not run here, with the reason and, if there is one, the test that runs them elsewhere. */
const NOT_RUN: readonly (readonly [RegExp, string])[] = [
  [/^\.\/scripts\/run\b/, "quickstart.test.ts runs it"],
  [/^\.\/scripts\/test\b/, "it runs this test"],
  [/^\.\/scripts\/package\b/, "package.test.ts runs it"],
  [/^apt /, "needs a host with systemd: test/e2e/service.e2e.ts"],
  [/^systemctl /, "needs systemd: test/e2e/service.e2e.ts"],
  [/\bsystemd-creds /, "needs the credential store of a host: test/e2e/service.e2e.ts"],
  [/^tar /, "reads /var/lib/socle, the state of an installed agent"],
  [
    /^socle config (check|show)( +#|$)/,
    "reads /etc/socle/agent.yaml: package.test.ts checks the one installed",
  ],
  [/^socle enroll /, "needs an authority: certificate.test.ts"],
  [/^socle vm console /, "needs a terminal: cli.test.ts"],
  [/\+crash-1\.raw/, "needs the dump of a guest that runs: vms-dump.test.ts"],
  [/ --user-data web\.yaml$/, "needs a person's key and user data: first-boot.test.ts"],
  [/^socle vm seed /, "needs a person's key: first-boot.test.ts"],
  [/^install .*\/socle-dumps$/, "needs the user that the package makes"],
  [/^socle vm dump /, "needs a guest that runs, and a directory for dumps: vms-dump.test.ts"],
  [/ in-the-act /, "needs a guest that runs, and a directory for its memory: memory-snapshots.test.ts"],
  [/^(socle vm backup (open|end)|nbdcopy) /, "needs certificates: backups-nbd.test.ts"],
  [/^qemu-img convert --object /, "names a file of a backup: backups-encrypted.test.ts"],
  [/^socle image (import|rm) /, "needs an image server: images.test.ts"],
  [/ --image debian-13 /, "needs an image: images.test.ts"],
  [/^socle vm disk \w+ builder /, "needs a guest that installs a system: images-from-volumes.test.ts"],
  [/ new-1 /, "needs images of media: media-images.test.ts"],
  [/^socle vm (screen|screenshot) /, "needs a guest that runs with a screen: vms-screen.test.ts"],
  [/^socle vm pci /, "needs a PCI device behind an IOMMU: vms-pci.test.ts"],
  [/^socle vm unrescue /, "needs a rescue system: vms-rescue.test.ts"],
  [/^grep .* \/run\/libvirt\//, "needs a job that libvirt does not end: backups-interrupted.test.ts"],
  [
    /^(socle vm disk move web-1 data|qemu-img convert -f raw .*\/data\.raw) /,
    "needs a raw disk of an older release: forged-headers.test.ts",
  ],
  [/^socle --person-file /, "needs an identity provider: people.test.ts"],
];

suite("commands in the documentation", { skip: libvirtdUnavailable() }, () => {
  let host: SocleHost;
  let directory: string;

  before(async () => {
    host = await SocleHost.start({
      config: {
        vm: { accelerator: "tcg", gracefulStopSeconds: 1 },
        host: { reservedMemoryMiB: 0, memoryOvercommitRatio: 4, storageOvercommitRatio: 64 },
      },
    });
    directory = await mkdtemp(join(tmpdir(), "socle-docs-"));
    const socle =
      builtAgent === undefined ? `${repository}/scripts/socle` : `${process.execPath} ${builtAgent}`;
    await writeFile(join(directory, "socle"), `#!/bin/sh\nexec ${socle} "$@"\n`, { mode: 0o755 });
    await copyFile(
      join(repository, "systemd/prometheus/socle.rules.yaml"),
      join(directory, "socle.rules.yaml"),
    );
    await copyFile(join(host.agent.directory, "state/audit/key.pub"), join(directory, "key.pub"));
    await cp("/etc", join(directory, "etc"), { recursive: true, verbatimSymlinks: true });
    await mkdir(join(directory, "etc/socle"));
    await copyFile(host.agent.configPath, join(directory, "etc/socle/agent.yaml"));
    await provideDefaults();
  });
  after(async () => {
    await host.stop();
    await rm(directory, { recursive: true });
  });

  /** The pools, the image and the network that the manual's VMs need. */
  async function provideDefaults(): Promise<void> {
    for (const pool of ["default", "fast"]) {
      const images = join(host.libvirtd.directory, pool);
      await mkdir(images, { mode: 0o755 });
      await host.virsh("pool-create-as", pool, "dir", "--target", images);
    }
    await host.virsh("vol-create-as", "default", "debian-13.qcow2", "64MiB", "--format", "qcow2");
    const network = join(directory, "network.xml");
    await writeFile(network, "<network><name>default</name><bridge name='socle-docs'/></network>");
    // Debian's own network is a NAT and may be active.
    for (const command of ["net-destroy", "net-undefine"])
      await host.virsh(command, "default").catch(() => undefined);
    await host.virsh("net-create", network);
    await host.untilListed();
  }

  /** In a mount namespace whose /etc is a copy of the machine's, with this agent's configuration at the usual place. */
  const shell = (line: string): Promise<{ stdout: string; stderr: string }> =>
    promisify(execFile)(
      "unshare",
      [
        ...["--mount", "--propagation", "private", "bash", "-o", "pipefail", "-c"],
        `mount --bind "$0" /etc\n${line}`,
        join(directory, "etc"),
      ],
      {
        cwd: directory,
        timeout: LINE_TIMEOUT_MS,
        env: {
          PATH: `${directory}:${process.env["PATH"] ?? ""}`,
          SOCLE_SOCKET: host.agent.socketPath,
          HOME: directory,
        },
      },
    );

  test("every command of the first VM in README.md works", async () => {
    for (const line of await linesToRun("README.md")) await shell(line);
    assert.deepEqual(await host.domains(), []);
  });

  test("every command in systemd/README.md that this machine can run succeeds", async () => {
    await shell(
      "socle vm create --name web-1 --vcpus 1 --memory 64MiB --disk new:default:16MiB --leave-stopped --tenant red",
    );
    for (const line of await linesToRun("systemd/README.md")) await shell(line);
    assert.deepEqual(await host.domains(), []);
  });

  test("every exemption from running a line is still needed", async () => {
    const lines = [...(await linesOf("README.md")), ...(await linesOf("systemd/README.md"))];
    for (const [pattern, why] of NOT_RUN)
      assert.ok(
        lines.some((line) => pattern.test(line)),
        why,
      );
  });
});

const linesToRun = async (path: string): Promise<readonly string[]> =>
  (await linesOf(path)).filter((line) => !NOT_RUN.some(([pattern]) => pattern.test(line)));

/** The lines of a page's shell blocks, continued ones as one. */
async function linesOf(path: string): Promise<readonly string[]> {
  const { blocks } = await readPage(path);
  return blocks
    .filter(({ language }) => language === "sh")
    .flatMap(({ text }) => text.replaceAll(/\\\n\s*/g, " ").split("\n"))
    .filter((line) => line.trim() !== "" && !line.startsWith("#"));
}
