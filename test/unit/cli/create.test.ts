import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import test, { type TestContext } from "node:test";
import type { CreateVmRequest__Output } from "../../../agent/gen/socle/v1/CreateVmRequest.ts";
import { fakeAgent, socle } from "../../support/cli/fake-agent.ts";
import { operation } from "../../support/cli/samples.ts";

async function creator(
  context: TestContext,
): Promise<{ socket: string; requests: CreateVmRequest__Output[] }> {
  const requests: CreateVmRequest__Output[] = [];
  const socket = await fakeAgent(context, {
    vms: {
      CreateVm: (call, done) => {
        requests.push(call.request);
        const planned = call.request.validateOnly ? { operationId: "" } : {};
        done(null, operation({ kind: "CREATE_VM", ...planned }));
      },
    },
  });
  return { socket, requests };
}

test("create sends the placement of the VM and its reservation", async (context) => {
  const { socket, requests } = await creator(context);
  const line =
    "vm create --name web-1 --vcpus 2 --memory 2GiB --disk a/b --dedicated-cpus --isolate-emulator --cell 1 --page-size 1GiB --device gpu0 --device 0000:3b:00.0 --reservation r-1";
  assert.equal((await socle(line.split(" "), { socket })).exitCode, 0);
  const { spec, reservationId } = requests[0] ?? {};
  assert.equal(reservationId, "r-1");
  assert.deepEqual(
    { ...spec?.placement },
    {
      dedicatedCpus: true,
      cellPolicy: "CELL_POLICY_STRICT",
      cell: 1,
      _cell: "cell",
      pageSizeBytes: 2 ** 30,
      isolatedEmulator: true,
      devices: ["gpu0", "0000:3b:00.0"],
    },
  );
});

test("create builds a spec from its flags", async (context) => {
  const { socket, requests } = await creator(context);
  const line =
    "vm create --name web-1 --vcpus 2 --memory 1.5GiB --max-memory 6GiB --disk new:default:10GiB:debian.qcow2 --disk default/dir/data.raw --encrypt --nic default --nic bridge:br0 --kernel boot/vmlinuz --initrd boot/initrd --accelerator tcg --firmware uefi --label a=b --label c=d=e --tenant blue --tpm --launch-security tdx --guest-agent --start-priority 7 --start-delay 90s --crash-policy restart --leave-stopped";
  const { exitCode, stderr } = await socle([...line.split(" "), "--cmdline", "console=ttyS0 quiet"], {
    socket,
  });
  assert.deepEqual([exitCode, stderr], [0, "  done   start  1.5s\n"]);
  const { spec, leaveStopped, validateOnly } = requests[0] ?? {};
  assert.deepEqual([leaveStopped, validateOnly], [true, false]);
  assert.deepEqual(
    {
      ...spec,
      disks: spec?.disks.map(({ name, volume, newVolume }) => ({ name, ...(volume ?? newVolume) })),
    },
    {
      name: "web-1",
      vmId: "",
      vcpus: 2,
      maxVcpus: 0,
      maxMemoryBytes: 6 * 2 ** 30,
      bootOrder: [],
      cpuTopology: null,
      cpuMode: "CPU_MODE_UNSPECIFIED",
      cpuModel: "",
      memoryBytes: 1.5 * 2 ** 30,
      accelerator: "ACCELERATOR_TCG",
      firmware: "FIRMWARE_UEFI",
      disks: [
        {
          name: "disk0",
          pool: "default",
          capacityBytes: 10 * 2 ** 30,
          format: "DISK_FORMAT_UNSPECIFIED",
          baseVolume: "debian.qcow2",
          encryption: "VOLUME_ENCRYPTION_LUKS",
          image: "",
        },
        { name: "disk1", pool: "default", volume: "dir/data.raw" },
      ],
      nics: [
        {
          name: "nic0",
          mac: "",
          allowSpoofing: false,
          allowedAddresses: [],
          limits: null,
          linkDown: false,
          network: "default",
          source: "network",
        },
        {
          name: "nic1",
          mac: "",
          allowSpoofing: false,
          allowedAddresses: [],
          limits: null,
          linkDown: false,
          bridge: "br0",
          source: "bridge",
        },
      ],
      kernelBoot: {
        kernel: { pool: "boot", volume: "vmlinuz" },
        initrd: { pool: "boot", volume: "initrd" },
        commandLine: "console=ttyS0 quiet",
      },
      tpm: true,
      launchSecurity: "LAUNCH_SECURITY_TDX",
      guestAgent: true,
      tenant: "blue",
      labels: { a: "b", c: "d=e" },
      autostart: false,
      placement: null,
      cloudInit: null,
      startPriority: 7,
      startDelaySeconds: 90,
      crashPolicy: "CRASH_POLICY_RESTART",
      graphics: "GRAPHICS_UNSPECIFIED",
      watchdog: null,
    },
  );
});

test("create reads keys and secret files for cloud-init, and the file's fields stay", async (context) => {
  const { socket, requests } = await creator(context);
  const directory = await mkdtemp(join(tmpdir(), "socle-cli-"));
  context.after(() => rm(directory, { recursive: true }));
  const at = (name: string): string => join(directory, name);
  const [one, two] = ["ssh-ed25519 AAAAC3Nz one", "ssh-rsa AAAAB3Nz"] as const;
  await writeFile(at("keys.pub"), `# mine\n${two}\n\n${one}\n`);
  await writeFile(at("user-data"), "#cloud-config\npassword: é\n");
  await writeFile(at("vm.yaml"), "name: web-1\ncloudInit: {pool: seeds, networkConfig: '{version: 2}'}\n");
  const size = ["--vcpus", "1", "--memory", "1GiB", "--disk", "a/b"];
  const create = (...more: string[]) =>
    socle(["vm", "create", "-f", at("vm.yaml"), ...size, ...more], { socket });
  const flags = ["--hostname", "web-1", "--ssh-key", one, "--ssh-key", at("keys.pub")];
  assert.equal((await create(...flags, "--user-data", at("user-data"))).exitCode, 0);
  assert.deepEqual(requests[0]?.spec?.cloudInit, {
    hostname: "web-1",
    sshKeys: [one, two, one],
    userData: "#cloud-config\npassword: é\n",
    networkConfig: "{version: 2}",
    pool: "seeds",
  });
  const stdin = new PassThrough();
  stdin.end("version: 2\n");
  const piped = ["vm", "create", "-f", at("vm.yaml"), ...size, "--network-config", "-"];
  assert.equal((await socle(piped, { socket, stdin })).exitCode, 0);
  assert.equal(requests[1]?.spec?.cloudInit?.networkConfig, "version: 2\n");
  assert.equal((await create("--seed-pool", "fast")).exitCode, 0);
  assert.equal(requests[2]?.spec?.cloudInit?.pool, "fast");
});

test("create refuses a private key, a file that is no text, and stdin for two files, without a request", async (context) => {
  const { socket, requests } = await creator(context);
  const directory = await mkdtemp(join(tmpdir(), "socle-cli-"));
  context.after(() => rm(directory, { recursive: true }));
  const at = (name: string): string => join(directory, name);
  const pem = "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----\n";
  await writeFile(at("id"), pem);
  await writeFile(at("none"), "# no key\n");
  await writeFile(at("user-data.gz"), Buffer.from([0x1f, 0x8b, 0xff]));
  const size = ["--name", "web-1", "--vcpus", "1", "--memory", "1GiB", "--disk", "a/b"];
  for (const [flags, why] of [
    [["--ssh-key", at("id")], /has a private key; its public key is usually in the file with \.pub/],
    [["--ssh-key", at("none")], /has no key/],
    [["--ssh-key", at("gone")], /there is no such file/],
    [["--user-data", at("user-data.gz")], /is no text in UTF-8/],
    [["--user-data", "-", "--network-config", "-"], /stdin \(-\) can be one of/],
  ] as const) {
    const { exitCode, stderr } = await socle(["vm", "create", ...size, ...flags], { socket });
    assert.notEqual(exitCode, 0);
    assert.match(stderr, why);
    assert.doesNotMatch(stderr, /c2VjcmV0/);
  }
  assert.deepEqual(requests, []);
});

test("create reads a file, which flags override, and --dry-run changes nothing", async (context) => {
  const { socket, requests } = await creator(context);
  const directory = await mkdtemp(join(tmpdir(), "socle-cli-"));
  context.after(() => rm(directory, { recursive: true }));
  const file = join(directory, "vm.yaml");
  await writeFile(
    file,
    `name: web-1
vcpus: 1
memory: 512MiB
cpuMode: host-model
disks:
  - { name: root, newVolume: { pool: default, capacity: 1GiB, format: raw } }
  - { name: data, volume: default/data.raw, readOnly: true }
labels: { tier: front }
`,
  );
  const { stdout } = await socle(
    ["vm", "create", "-f", file, "--vcpus", "4", "--label", "x=y", "--dry-run"],
    {
      socket,
    },
  );
  assert.match(stdout, /nothing changed \(--dry-run\)\n$/);
  const { spec, validateOnly } = requests[0] ?? {};
  assert.equal(validateOnly, true);
  assert.equal(spec?.vcpus, 4);
  assert.equal(spec.memoryBytes, 512 * 2 ** 20);
  assert.equal(spec.cpuMode, "CPU_MODE_HOST_MODEL");
  assert.deepEqual(spec.labels, { tier: "front", x: "y" });
  assert.equal(spec.disks[0]?.newVolume?.capacityBytes, 2 ** 30);
  assert.equal(spec.disks[0].newVolume.format, "DISK_FORMAT_RAW");
  assert.deepEqual(spec.disks[1]?.volume, { pool: "default", volume: "data.raw" });

  const stdin = new PassThrough();
  stdin.end(JSON.stringify({ name: "web-2", vcpus: 1, memoryBytes: 2 ** 30 }));
  assert.equal((await socle(["vm", "create", "-f", "-"], { socket, stdin })).exitCode, 0);
  assert.equal(requests[1]?.spec?.name, "web-2");
});

test("create rejects contradictory flags before it calls the agent", async (context) => {
  const { socket, requests } = await creator(context);
  const refused = async (line: string, stdin = ""): Promise<string> => {
    const { exitCode, stderr } = await socle(["vm", "create", ...line.split(" ")], {
      socket,
      stdin: new PassThrough().end(stdin),
    });
    assert.equal(exitCode, 2, stderr);
    return stderr;
  };
  const base = "--name a --vcpus 1 --memory 1GiB";
  assert.match(await refused("--name a"), /a VM needs --vcpus, --memory/);
  assert.match(
    await refused("--name a --vcpus 0 --memory 1GiB"),
    /--vcpus takes a whole number from 1, not '0'/,
  );
  assert.match(await refused("--name a --vcpus 1 --memory lots"), /--memory takes a size like/);
  assert.match(await refused(`${base} --disk novolume`), /--disk takes POOL\/VOLUME/);
  assert.match(await refused(`${base} --disk new:default`), /for example new:default:10GiB/);
  assert.match(await refused(`${base} --label x`), /--label takes key=value/);
  assert.match(await refused(`${base} --initrd a/b`), /require --kernel/);
  assert.match(await refused(`${base} --accelerator xen`), /Allowed choices are kvm, tcg/);
  assert.match(await refused(`${base} --nonsense`), /unknown option '--nonsense'/);
  const misspelled = await refused(
    "-f -",
    "{ name: a, memoryMb: 512, disks: [{ name: x, volume: nopool, sise: 1 }] }",
  );
  assert.match(misspelled, /stdin is not a VM's spec/);
  assert.match(misspelled, /memoryMb: is not a field of a VM's spec/);
  assert.match(misspelled, /disks\[0\]\.sise: is not a field/);
  assert.match(await refused("-f -", "{ name: ["), /stdin is neither YAML nor JSON/);
  const missing = await socle(["vm", "create", "-f", "/nonexistent/vm.yaml"], { socket });
  assert.equal(missing.exitCode, 3);
  assert.match(missing.stderr, /there is no such file/);
  assert.equal(requests.length, 0);
});
