// The spec of an archive or a backup is another machine's: what it requests of this host is shown, and taken with a yes alone.
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import type { Manifest } from "../../../agent/cli/backup/manifest.ts";
import { requestsOf, requestKinds, withoutRequests } from "../../../agent/cli/backup/host-requests.ts";
import type { VmSpec } from "../../../agent/gen/socle/v1/VmSpec.ts";
import { backupStage, type BackupStage } from "../../support/cli/backup-stage.ts";

const root = { name: "root", newVolume: { pool: "images" } };
const tools = { name: "tools", volume: { pool: "iso", volume: "tools.iso" }, readOnly: true };
const greedy: VmSpec = {
  name: "web-1",
  vcpus: 2,
  memoryBytes: 2 ** 31,
  disks: [root, tools],
  nics: [
    { name: "front", network: "default", allowedAddresses: ["192.0.2.7"] },
    { name: "back", bridge: "br0", allowSpoofing: true },
  ],
  kernelBoot: { kernel: { pool: "boot", volume: "vmlinuz" } },
  tenant: "acme",
  autostart: true,
  startPriority: 900,
  crashPolicy: "CRASH_POLICY_RESTART",
  launchSecurity: "LAUNCH_SECURITY_SEV_SNP",
  placement: {
    dedicatedCpus: true,
    cellPolicy: "CELL_POLICY_STRICT",
    cell: 1,
    pageSizeBytes: 2 ** 30,
    devices: ["0000:3b:00.0"],
  },
};
const all = [
  "tenant: tenant acme",
  "networks: NIC front on network default",
  "bridges: NIC back on bridge br0",
  "addresses: NIC front with 192.0.2.7",
  "spoofing: NIC back may spoof addresses",
  "volumes: disk tools is tools.iso of pool iso",
  "volumes: the kernel is vmlinuz of pool boot",
  "devices: device 0000:3b:00.0 of the host",
  "placement: dedicated CPUs",
  "placement: NUMA cell 1 alone",
  "placement: huge pages of 1 GiB",
  "launch-security: launch security sev-snp",
  "autostart: a start with the host, priority 900",
  "autostart: a new start after a crash",
];
const kinds = requestKinds.join(",");

/** An archive and a directory of a VM with this spec, each with the command that makes a VM of it. */
async function sources(context: TestContext, spec: VmSpec): Promise<[BackupStage, readonly string[][]]> {
  const on = await backupStage(context, { spec });
  const archive = `${on.directory}.tar`;
  await on.run("vm", "backup", "create", "web-1", "--to", on.directory);
  await on.run("vm", "export", "web-1", archive);
  return [
    on,
    [
      ["vm", "import", archive],
      ["vm", "restore", on.directory],
    ],
  ];
}

test("a VM of another machine gets no tenant, network, device or start without a yes, and the refusal lists them", async (context) => {
  const [on, lines] = await sources(context, greedy);
  for (const line of lines) {
    const { exitCode, stdout, stderr } = await on.run(...line);
    assert.deepEqual([exitCode, stdout, on.specs.length], [2, "", 0], stderr);
    for (const text of all) assert.ok(stderr.includes(`  ${text} (not decided)\n`), `${text} in ${stderr}`);
    assert.ok(stderr.includes(`--accept ${kinds}`), stderr);
    assert.ok(stderr.includes(`--without ${kinds}`), stderr);
    assert.match(stderr, /--yes accepts all/);
    const json = await on.run(...line, "--json");
    const { error } = JSON.parse(json.stderr) as {
      error: { reason: string; metadata: { undecided: string } };
    };
    assert.deepEqual([error.reason, error.metadata.undecided], ["ACCEPTANCE_MISSING", kinds]);
  }
});

test("what a flag accepts is taken, and what a flag leaves out is not", async (context) => {
  const [on, lines] = await sources(context, greedy);
  for (const line of lines) {
    on.specs.length = 0;
    const some = await on.run(...line, "--accept", "tenant,networks");
    assert.equal(some.exitCode, 2);
    assert.doesNotMatch(some.stderr, /tenant acme|network default/);
    assert.equal(on.specs.length, 0);
    await on.run(...line, "--yes");
    await on.run(...line, "--accept", kinds);
    for (const spec of on.specs) {
      const { tenant, nics, autostart, placement, launchSecurity, crashPolicy } = spec;
      assert.deepEqual(
        [tenant, nics.map(({ name }) => name), autostart, placement?.devices, launchSecurity, crashPolicy],
        [
          "acme",
          ["front", "back"],
          true,
          ["0000:3b:00.0"],
          "LAUNCH_SECURITY_SEV_SNP",
          "CRASH_POLICY_RESTART",
        ],
      );
      assert.equal(spec.kernelBoot?.kernel?.volume, "vmlinuz");
    }
    assert.equal(on.specs.splice(0).length, 2);
    await on.run(...line, "--without", kinds);
    const [bare] = on.specs;
    assert.deepEqual(bare?.nics, []);
    assert.deepEqual(
      bare.disks.map(({ name }) => name),
      ["root"],
    );
    assert.deepEqual(requestsOf(bare, { disks: [] }), []);
    on.specs.length = 0;
    await on.run(...line, "--yes", "--without", "bridges,autostart");
    const [mixed] = on.specs;
    assert.deepEqual(
      [mixed?.tenant, mixed?.nics.map(({ name }) => name), mixed?.autostart, mixed?.crashPolicy],
      ["acme", ["front"], false, "CRASH_POLICY_UNSPECIFIED"],
    );
  }
  for (const [flags, why] of [
    [["--accept", "tenant", "--without", "tenant"], /both name tenant/],
    [["--accept", "tenants"], /--accept takes tenant, .*not 'tenants'/],
    [["--nic", "front"], /NIC=NETWORK/],
    [["--nic", "side=default"], /no NIC side; it has front, back/],
  ] as const) {
    const { exitCode, stderr } = await on.run(...(lines[0] ?? []), ...flags);
    assert.equal(exitCode, 2);
    assert.match(stderr, why);
  }
});

test("a tenant and networks that a person names need no other yes", async (context) => {
  const spec: VmSpec = { disks: [root], nics: greedy.nics ?? [], tenant: "acme" };
  const [on, lines] = await sources(context, spec);
  for (const line of lines) {
    on.specs.length = 0;
    const named = [...line, "--tenant", "blue", "--nic", "front=bridge:br7", "--nic", "back=green"];
    const refused = await on.run(...named);
    assert.match(refused.stderr, /--accept addresses,spoofing, /);
    assert.equal(on.specs.length, 0);
    await on.run(...named, "--without", kinds);
    const [made] = on.specs;
    assert.deepEqual(
      [made?.tenant, ...(made?.nics ?? []).map((nic) => [nic.bridge ?? nic.network, nic.allowSpoofing])],
      ["blue", ["br7", false], ["green", false]],
    );
    on.specs.length = 0;
    await on.run(...line, "--tenant", "", "--yes");
    assert.equal(on.specs[0]?.tenant, "");
  }
});

test("a person at a terminal sees the requests and decides", async (context) => {
  const [on, lines] = await sources(context, greedy);
  for (const line of lines) {
    on.specs.length = 0;
    const no = await on.answer("no\n", ...line, "--accept", "tenant");
    assert.equal(no.exitCode, 5);
    assert.ok(no.stderr.includes("tenant: tenant acme (accepted)\n"), no.stderr);
    assert.ok(no.stderr.includes("networks: NIC front on network default (not decided)\n"), no.stderr);
    assert.match(no.stderr, /Make VM web-1 with what is not decided \(networks, .*autostart\)\? \[y\/N\]/);
    assert.match(no.stderr, /no VM was made/);
    assert.equal(on.specs.length, 0);
    await on.answer("y\n", ...line);
    assert.equal(on.specs[0]?.tenant, "acme");
    // Programs get no prompt.
    assert.equal((await on.answer("y\n", ...line, "--json")).exitCode, 2);
  }
});

test("a dry run shows the requests and changes nothing", async (context) => {
  const [on, lines] = await sources(context, greedy);
  for (const line of lines) {
    on.specs.length = 0;
    const { exitCode, stdout } = await on.run(...line, "--dry-run", "--without", "devices");
    assert.equal(exitCode, 0);
    assert.match(stdout, /^VM web-1, as of .*: 2 vCPUs, 2 GiB\n {2}disk root: 256 KiB in pool images\n/);
    assert.ok(stdout.includes("  networks: NIC front on network default (not decided)\n"), stdout);
    assert.ok(stdout.includes("  devices: device 0000:3b:00.0 of the host (left out)\n"), stdout);
    assert.match(stdout, /not decided: --accept tenant,networks,.*nothing changed \(--dry-run\)\n$/s);
    const json = await on.run(...line, "--dry-run", "--accept", "tenant", "--json");
    const shown = JSON.parse(json.stdout) as { requests: { decision: string }[]; undecided: string[] };
    assert.equal(shown.requests.length, all.length);
    assert.deepEqual(shown.requests[0], { kind: "tenant", what: "tenant acme", decision: "accepted" });
    assert.deepEqual(shown.undecided, requestKinds.slice(1));
    assert.equal(on.specs.length, 0);
    // Decided as a whole, it is checked by the agent.
    const checked = await on.run(...line, "--dry-run", "--yes");
    assert.match(checked.stderr, /the host is full/);
  }
});

test("a spec that requests nothing needs no yes", async (context) => {
  const [on, lines] = await sources(context, { disks: [root], crashPolicy: "CRASH_POLICY_STOP" });
  for (const line of lines) {
    on.specs.length = 0;
    const { stderr } = await on.run(...line);
    assert.match(stderr, /the host is full/);
    assert.equal(on.specs.length, 1);
  }
});

test("what is shown is what is sent, whatever the types in the manifest", async (context) => {
  const [on] = await sources(context, { disks: [root] });
  const path = join(on.directory, "manifest.json");
  const manifest = JSON.parse(await readFile(path, "utf8")) as Manifest;
  const write = async (changes: object): Promise<void> => {
    const backups = manifest.backups.map((each) => ({ ...each, spec: { ...each.spec, ...changes } }));
    await writeFile(path, JSON.stringify({ ...manifest, backups }));
  };
  for (const [changes, what] of [
    [{ tenant: ["acme"] }, "tenant: tenant acme"],
    [{ autostart: "false" }, "autostart: a start with the host"],
    [{ crashPolicy: 2 }, "autostart: a new start after a crash"],
    [{ launchSecurity: 2 }, "launch-security: launch security sev-snp"],
    [{ nics: [{ name: "front", network: ["default"] }] }, "networks: NIC front on network default"],
    [{ placement: { cell: "1", dedicatedCpus: 1 } }, "placement: NUMA cell 1 alone"],
    [{ tenant: "a\u001b[31m" }, "tenant: tenant a\ufffd[31m"],
    [{ tenant: "a (accepted)\nb" }, "tenant: tenant a (accepted)\ufffdb"],
  ] as const) {
    await write(changes);
    const { exitCode, stderr } = await on.run("vm", "restore", on.directory);
    assert.equal(exitCode, 2, JSON.stringify(changes));
    assert.ok(stderr.includes(`  ${what} (not decided)\n`), `${what} in ${stderr}`);
  }
  await write({ vcpus: {}, labels: 5, watchdog: "x" });
  const { exitCode, stderr } = await on.run("vm", "restore", on.directory);
  assert.equal(exitCode, 2);
  assert.match(stderr, /is not valid/);
  assert.equal(on.specs.length, 0);
});

test("without one kind a spec has all others", () => {
  const stored = { disks: [] };
  for (const kind of requestKinds) {
    const left = requestsOf(withoutRequests(greedy, stored, new Set([kind])), stored);
    const others = requestKinds.filter((each) => each !== kind);
    // A NIC that is left out has no addresses either.
    const gone = { networks: ["addresses"], bridges: ["spoofing"] }[kind as string] ?? [];
    assert.deepEqual(
      [...new Set(left.map((each) => each.kind))],
      others.filter((each) => !gone.includes(each)),
    );
  }
});
