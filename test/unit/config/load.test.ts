import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { exampleConfig } from "../../../agent/config/example.ts";
import { configKeys } from "../../../agent/config/keys.ts";
import { loadConfig, parseConfig } from "../../../agent/config/load.ts";
import { configSchema } from "../../../agent/config/schema.ts";
import { SocleError } from "../../../agent/kernel/errors.ts";
import { folder } from "../../support/state/folder.ts";

const defaults = configSchema.parse({});

/** The reported problems, without the heading and the file's name. */
function problemsOf(text: string): string[] {
  try {
    parseConfig(text, "agent.yaml");
  } catch (thrown) {
    assert.ok(
      thrown instanceof SocleError && thrown.kind === "invalid" && thrown.reason === "CONFIG_INVALID",
    );
    return thrown.message
      .split("\n")
      .slice(1)
      .map((line) => line.trim().replace(/^agent\.yaml:/, ""));
  }
  return [];
}

test("the example has every key and equals the defaults", () => {
  const example = exampleConfig();
  assert.deepEqual(parseConfig(example, "example"), { config: defaults, warnings: [] });
  for (const { name, description } of configKeys()) {
    assert.match(example, new RegExp(`^  (# )?${name}:`, "m"));
    assert.ok(description.length > 10, `${name} needs a description`);
  }
});

test("no file, an empty file and empty sections give the defaults", async (t) => {
  const path = join(await folder(t), "agent.yaml");
  await writeFile(path, "# nothing yet\n");
  assert.deepEqual((await loadConfig(undefined)).config, defaults);
  assert.deepEqual((await loadConfig(path)).config, defaults);
  assert.deepEqual(parseConfig("api:\nhost:\n  # reservedCpus: 1\n", "x").config, defaults);
});

test("configured values are used, the rest is filled in", () => {
  const { config } = parseConfig("host:\n  labels: {rack: r1}\nmetrics:\n  listen: null\n", "x");
  assert.deepEqual(config.host.labels, { rack: "r1" });
  assert.equal(config.metrics.listen, null);
  assert.equal(config.host.reservedMemoryMiB, 1024);
});

test("a host has at most 64 labels", () => {
  const labels = (count: number) =>
    `host:\n  labels: {${Array.from({ length: count }, (_, at) => `l${at}: a`).join(", ")}}\n`;
  assert.equal(Object.keys(parseConfig(labels(64), "x").config.host.labels).length, 64);
  assert.match(problemsOf(labels(65)).join(), /host\.labels: must be at most 64/);
});

test("a device's name is for an address or a kind, and no two are for the same", () => {
  const aliases = (text: string) => `host:\n  deviceAliases: {${text}}\n`;
  const { config } = parseConfig(aliases("a100: 10de:20b0, nic0: '0000:3b:00.0'"), "x");
  assert.deepEqual(config.host.deviceAliases, { a100: "10de:20b0", nic0: "0000:3b:00.0" });
  assert.match(problemsOf(aliases("a100: 10DE:20B0")).join(), /deviceAliases\.a100: must be a PCI address/);
  assert.match(
    problemsOf(aliases("'0000:3b:00.0': 10de:20b0")).join(),
    /deviceAliases\.0000:3b:00\.0: must be a name/,
  );
  assert.match(problemsOf(aliases("a: 10de:20b0, b: 10de:20b0")).join(), /two names for one device/);
});

test("every problem is reported at once, with its place, its key and a remedy", () => {
  const problems = problemsOf(`host:
  reservedCpu: 1
  labels: {a: 3}
listne: 3
api:
  socket: relative
  listen: 0.0.0.0:7440
metrics:
  listen: 12
log: {level: inf}
vm:
  bridges: [br0, 3]
  gracefulStopSeconds: 0
libvrt:
scheduler: yes
`);
  assert.deepEqual(
    problems.map((line) => line.replace(/ \(.*/, "").slice(0, 70)),
    [
      "2:3: host.reservedCpu: unknown key; did you mean reservedCpus?",
      "3:12: host.labels.a: must be text, not a number",
      "4:1: listne: unknown key; did you mean api.listen or metrics.listen?",
      "6:3: api.socket: must be an absolute path",
      "7:3: api.listen: only a loopback address is accepted without trust.dom",
      "9:3: metrics.listen: must be text, not a number",
      "10:7: log.level: must be one of trace, debug, info, warn, error; did y",
      "12:18: vm.bridges.1: must be text, not a number",
      "13:3: vm.gracefulStopSeconds: must be at least 1",
      "14:1: libvrt: unknown key; did you mean libvirt?",
      "15:1: scheduler: must be a section of keys, not text",
    ],
  );
});

test("an unknown key is refused with the known keys of its level", () => {
  const problem = (text: string): string =>
    problemsOf(text)
      .join()
      .replace(/^\d+:\d+: /, "");
  assert.match(
    problem("tenants: {byName: {acme: {network: [a]}}}"),
    /acme\.network: unknown key; did you mean networks\?/,
  );
  assert.match(
    problem("tenants: {byName: {acme: {quotas: {colour: 3}}}}"),
    /colour: unknown key; known: vms, vcpus,/,
  );
  assert.match(problem("api: {limits: {colour: 3}}"), /api\.limits\.colour: unknown key; known: (?!socket)/);
  assert.match(problem("api: {colour: 3}"), /api\.colour: unknown key; known: socket, /);
});

test("a wrong value is refused, with null among the allowed values", () => {
  assert.match(problemsOf("trust: {insecureLoopback: production}").join(), /must be development or null$/);
});

test("people need keys, an issuer and an audience, and cannot be required without them", () => {
  const missing = (text: string): string[] =>
    problemsOf(text).map((line) => line.replace(/^\d+:\d+: | is .*/g, ""));
  assert.deepEqual(missing("people: {keys: /etc/socle/idp.pem}"), ["people.issuer:", "people.audience:"]);
  assert.deepEqual(missing("people: {required: network}"), ["people.keys:"]);
  assert.deepEqual(missing("people: {keys: /a, issuer: b, audience: c, required: everywhere}"), []);
});

test("a repeated key is refused", () => {
  assert.deepEqual(problemsOf("log:\n  level: info\n  level: debug\n"), ["3:3: duplicate key"]);
});

test("without trust.domain only loopback is allowed; metrics elsewhere give a warning", () => {
  const development = "trust: {insecureLoopback: development}";
  for (const address of ["127.0.0.1:7440", "127.8.0.1:1", "[::1]:7440", "localhost:7440"]) {
    for (const listener of [`api: {listen: "${address}"}`, `scheduler: {address: "${address}"}`]) {
      const [problem = "", ...others] = problemsOf(listener);
      assert.match(
        problem,
        /needs trust\.domain.*every process.*trust\.insecureLoopback: development/,
        listener,
      );
      assert.deepEqual(others, []);
      const { warnings: risks } = parseConfig(`${development}\n${listener}`, "agent.yaml");
      assert.match(risks.join(), /every process of this machine can act as the scheduler/, listener);
      assert.deepEqual(
        parseConfig(`trust: {domain: a.example}\n${listener}`, "agent.yaml").warnings,
        [],
        listener,
      );
    }
  }
  assert.equal(problemsOf("trust: {insecureLoopback: true}").length, 1);
  for (const address of [
    "0.0.0.0:7440",
    "[::]:7440",
    "10.1.2.3:7440",
    "host.example:7440",
    "127.0.0.1.evil:1",
  ]) {
    for (const key of ["", development])
      assert.match(
        problemsOf(`${key}\napi: {listen: "${address}"}`)[0] ?? "",
        /api\.listen: only a loopback/,
        address,
      );
    const secured = `trust: {domain: cloud.example}\napi: {listen: "${address}"}\nscheduler: {address: "10.9.9.9:1"}`;
    assert.deepEqual(problemsOf(secured), [], address);
    assert.match(
      problemsOf(`scheduler: {address: "${address}"}`)[0] ?? "",
      /scheduler\.address: only/,
      address,
    );
  }
  const { warnings } = parseConfig("metrics:\n  listen: 0.0.0.0:9177\n", "agent.yaml");
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? "", /^agent\.yaml:2:3: metrics\.listen: anyone who reaches 0\.0\.0\.0:9177/);
});

test("two listeners on one address, an agent as its own scheduler and invalid addresses are refused", () => {
  const both = (api: string, metrics: string): string[] =>
    problemsOf(
      `trust: {insecureLoopback: development}\napi: {listen: "${api}"}\nmetrics: {listen: "${metrics}"}`,
    );
  assert.match(both("127.0.0.1:9000", "127.0.0.1:9000")[0] ?? "", /metrics\.listen: .* taken by api\.listen/);
  assert.match(both("127.0.0.1:9000", "0.0.0.0:9000")[0] ?? "", /taken by api\.listen/);
  assert.deepEqual(both("127.0.0.1:9000", "127.0.0.1:9001"), []);
  assert.deepEqual(both("127.0.0.1:0", "127.0.0.1:0"), []);
  const own =
    'trust: {insecureLoopback: development}\napi: {listen: "127.0.0.1:7440"}\nscheduler: {address: "127.0.0.1:7440"}';
  assert.match(problemsOf(own)[0] ?? "", /scheduler\.address: .* own api\.listen/);
  assert.match(problemsOf('metrics: {listen: "999.1.1.1:3"}')[0] ?? "", /metrics\.listen: .* not an address/);
  assert.match(problemsOf('metrics: {listen: "127.0.0.1:70000"}')[0] ?? "", /at most 65535/);
});

test("a socket path that the kernel would cut is refused, and the longest that fits is accepted", () => {
  assert.deepEqual(problemsOf(`api: {socket: "/${"x".repeat(106)}"}`), []);
  assert.match(problemsOf(`api: {socket: "/${"x".repeat(107)}"}`)[0] ?? "", /api\.socket: .* has 108/);
  assert.match(problemsOf(`api: {socket: "/${"é".repeat(60)}"}`)[0] ?? "", /has 121/);
  assert.deepEqual(problemsOf(`guest: {socketDirectory: "/${"x".repeat(55)}"}`), []);
  assert.match(
    problemsOf(`guest: {socketDirectory: "/${"x".repeat(56)}"}`)[0] ?? "",
    /guest\.socketDirectory: .* has 57/,
  );
});

test("broken, hostile and foreign YAML gets one clear error each at low cost", () => {
  const hostile: [text: string, answer: RegExp][] = [
    ["a: [\n", /^2:1: /],
    ["- 1\n", /^1:1: must be a section of keys, not a list/],
    ["just text", /must be a section of keys, not text/],
    ["\tx: 1", /^1:1: Tabs/],
    ["a: 1\n---\nb: 2\n", /^2:1: a second document/],
    ["api: !!js/function 1\n", /Unresolved tag/],
    ["? [a]\n: 1\n", /keys must be strings/],
    ["__proto__: {x: 1}\n", /__proto__: unknown key/],
    ["[".repeat(50_000), /stack|end with/],
    ["a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n", /aliases/],
    ["a: &a {b: *a}\n", /aliases/],
  ];
  const cpuMs = (work: () => unknown): number => {
    const before = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  };
  // As long as the longest of them, and harmless.
  const harmless = `host: {labels: {${Array.from({ length: 5000 }, (_, at) => `k${at}: v`).join(", ")}}}\n`;
  const harmlessMs = cpuMs(() => problemsOf(harmless));
  for (const [text, answer] of hostile) {
    let problems: string[] = [];
    const tookMs = cpuMs(() => (problems = problemsOf(text)));
    assert.match(problems[0] ?? "", answer, text.slice(0, 40));
    assert.ok(problems.length <= 51);
    const ratio = tookMs / harmlessMs;
    assert.ok(ratio < 10, `${text.slice(0, 40)} costs ${ratio.toFixed(1)} times as much as harmless text`);
  }
});

test("an unreadable file is reported with its cause: missing, a directory, too large, not text", async (t) => {
  const directory = await folder(t);
  await mkdir(join(directory, "sub"));
  await writeFile(join(directory, "large"), Buffer.alloc(1024 * 1024 + 1, "#"));
  await writeFile(join(directory, "binary"), Buffer.from([0xff, 0xfe, 0x00]));
  const cases: [name: string, why: RegExp][] = [
    ["missing", /ENOENT/],
    ["sub", /not a regular file/],
    ["large", /larger than 1048576/],
    ["binary", /valid/],
  ];
  for (const [name, why] of cases) {
    await assert.rejects(loadConfig(join(directory, name)), (error) => {
      assert.ok(error instanceof SocleError);
      assert.equal(error.reason, "CONFIG_UNREADABLE");
      assert.match(error.message, why);
      return true;
    });
  }
});

test("a volume key in a place that a purge or a reboot deletes is refused", () => {
  const problems = (path: string): string[] =>
    problemsOf(`state: {directory: /srv/socle}\nvm: {volumeKeyFile: "${path}"}`);
  for (const path of [
    "/etc/socle/volume.key",
    "/etc/socle//keys/../volume.key",
    "/etc/../etc/socle/volume.key",
    "/var/lib/socle/trust/volume.key",
    "/run/socle/volume.key",
    "/srv/socle/volume.key",
  ])
    assert.match(
      problems(path)[0] ?? "",
      /^2:6: vm\.volumeKeyFile: must not be below .*\/etc\/socle-keys/,
      path,
    );
  for (const path of [
    "/etc/socle-keys/volume.key",
    "/srv/socle.key",
    "/etc/socle/../volume.key",
    "/etc/..socle/k",
  ])
    assert.deepEqual(problems(path), [], path);
});

test("a BMC over the network needs an address and a user", () => {
  const problems = problemsOf("bmc:\n  interface: lanplus\n  address: 10.0.0.17\n");
  assert.equal(problems.length, 1);
  assert.match(problems[0] ?? "", /bmc\.user: is needed/);
  const whole = "bmc: {interface: lanplus, address: 10.0.0.17, user: monitor, passwordFile: /etc/socle/bmc}";
  assert.equal(parseConfig(whole, "x").config.bmc.cipherSuite, 17);
  assert.equal(problemsOf("bmc: {address: -Hevil}").length, 1);
});

test("thresholds that no health condition could leave again are refused", () => {
  const problems = problemsOf(
    "health: {diskSpaceMinRatio: 0.7, thermalMarginCelsius: 12, thermalGoodMarginCelsius: 11}",
  );
  assert.match(problems[0] ?? "", /health\.diskSpaceMinRatio: times headroom \(1\.5\) .* never be left/);
  assert.match(problems[1] ?? "", /health\.thermalGoodMarginCelsius: must be at least .* \(12\)/);
  assert.deepEqual(problemsOf("health: {diskSpaceMinRatio: 0.7, headroom: 1.2}"), []);
});

test("automatic enrollment needs a domain", () => {
  assert.match(
    problemsOf("trust: { enrollAt: scheduler.example:7451 }")[0] ?? "",
    /trust\.enrollAt: needs trust\.domain/,
  );
  const whole = "trust: { domain: cloud.example, enrollAt: scheduler.example:7451 }";
  assert.equal(parseConfig(whole, "x").config.trust.enrollAt, "scheduler.example:7451");
});
