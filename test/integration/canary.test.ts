// Secrets are planted in every source that the agent reads, it runs its main paths with the most verbose log, and all its
// output is searched for them.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, suite, test } from "node:test";
import { KeyWrap } from "../../agent/vm/keys/key-wrap.ts";
import { bmcUnavailable, SimulatedBmc } from "../support/bmc.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { ProcessWitness } from "../support/process-witness.ts";
import { bootSector, SocleHost } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";
import { socle } from "../support/cli/fake-agent.ts";
import { audience, IdentityProvider, issuer } from "../support/trust/identity-provider.ts";
import { Authority } from "../scheduler/authority.ts";
import { Enroller } from "../scheduler/enroller.ts";

const domain = "cloud.example";
const MIB = 2 ** 20;

const userData = randomBytes(12).toString("hex");

/** Secrets by name. */
const secrets = new Map<string, Buffer>();
/** Searched output by name. */
const outputs = new Map<string, Buffer>();

/** Plain, and as in JSON, in a log of bytes, in a URL. */
function forms(secret: Buffer): Buffer[] {
  const base64 = secret.toString("base64").replace(/=+$/, "");
  // Base64 depends on the offset; a long middle part does not depend on its ends.
  const inner = [1, 2].map((skip) =>
    secret.subarray(skip).toString("base64").replace(/=+$/, "").slice(2, -2),
  );
  const texts = [base64, secret.toString("base64url"), secret.toString("hex"), ...inner];
  return [
    secret,
    ...texts.map((text) => Buffer.from(text)),
    Buffer.from(JSON.stringify([...secret]).slice(1, -1)),
  ];
}

const leaks = (content: Buffer): string[] =>
  [...secrets].flatMap(([what, secret]) =>
    forms(secret).some((form) => content.includes(form)) ? [what] : [],
  );

const skip = libvirtdUnavailable() || bmcUnavailable();

suite("secrets stay in their places", { skip }, () => {
  let work: string;
  let credentials: string;
  let bmc: SimulatedBmc;
  let host: SocleHost;
  let enroller: Enroller;
  const witness = new ProcessWitness();
  const provider = new IdentityProvider();

  /** Runs the operator's command; its output is searched too. Returns its exit code. */
  async function exitCodeOf(line: readonly string[], stdin = ""): Promise<number> {
    const options = { socket: host.agent.socketPath, stdin: Readable.from([Buffer.from(stdin)]) };
    const { exitCode, stdout, stderr } = await socle(line, options);
    outputs.set(`socle ${line.join(" ")} (${outputs.size})`, Buffer.from(stdout + stderr));
    return exitCode;
  }

  const got = async (path: string): Promise<string> => {
    const text = await (await fetch(`http://${host.agent.metricsAddress}${path}`)).text();
    outputs.set(path, Buffer.from(text));
    return text;
  };

  before(async () => {
    work = await mkdtemp(join(tmpdir(), "socle-canary-"));
    credentials = join(work, "credentials");
    await mkdir(credentials);
    await writeFile(join(work, "provider.pem"), provider.pem);
    const password = `canary-${randomBytes(6).toString("hex")}`;
    const volumeKey = randomBytes(32);
    secrets.set("the BMC's password", Buffer.from(password)).set("the volume key", volumeKey);
    await writeFile(join(credentials, "socle-bmc-password"), `${password}\n`, { mode: 0o400 });
    await writeFile(join(credentials, "socle-volume-key"), volumeKey, { mode: 0o400 });
    bmc = await SimulatedBmc.start(password);
    const { interface: kind, address, port, user, cipherSuite } = bmc.access;
    host = await SocleHost.start({
      config: {
        bmc: { interface: kind, address, port, user, cipherSuite, timeoutSeconds: 20 },
        trust: { domain, directory: join(work, "trust") },
        people: { keys: join(work, "provider.pem"), issuer, audience },
        log: { level: "trace" },
      },
      environment: { CREDENTIALS_DIRECTORY: credentials },
    });
    enroller = await Enroller.start(await Authority.make(domain));
    witness.start();
  });
  after(async () => {
    await witness.stop();
    enroller.stop();
    await host.stop();
    await bmc.stop();
    await rm(work, { recursive: true });
  });

  test("the host enrolls: a wrong token is refused, a valid one accepted", async () => {
    const { identity } = await host.host();
    const good = enroller.token([identity?.hostId ?? ""], 3_600_000);
    const spoiled = good.replace(/[^.]+$/, randomBytes(24).toString("base64url"));
    secrets.set("the token", Buffer.from(good.split(".")[2] ?? "?"));
    secrets.set("the refused token", Buffer.from(spoiled.split(".")[2] ?? "?"));
    const enroll = ["enroll", "--scheduler", enroller.address, "--token-file", "-"];
    assert.notEqual(await exitCodeOf(enroll, `${spoiled}\n`), 0);
    assert.notEqual(await exitCodeOf(enroll, `${spoiled}.\n`), 0);
    assert.equal(await exitCodeOf(enroll, `${good}\n`), 0, host.agent.output());
  });

  test("the BMC gets the password of systemd's credential, which is not in ipmitool's command line", async () => {
    await eventually(async () => /^socle_host_bmc_up 1$/m.test(await got("/metrics?collect[]=host_bmc")), {
      what: "the BMC to answer",
      timeoutMs: 120_000,
    });
    // A waiting process can be inspected; a new agent starts one at once.
    bmc.hang();
    await host.agent.terminate();
    await host.agent.startAgain();
    await host.reconnect();
    await host.untilListed();
    const ipmitool = /ipmitool.*lanplus/;
    await eventually(() => witness.has(ipmitool), { what: "ipmitool to run", timeoutMs: 120_000 });
  });

  test("a VM with an encrypted disk and user data is created, stopped, started and deleted", async () => {
    secrets.set("the user data", Buffer.from(userData));
    const operation = await host.create(spec("sealed"));
    assert.equal(operation.state, "STATE_SUCCEEDED", String(host.failureOf(operation)));
    const xml = await host.virsh("dumpxml", "--security-info", "sealed");
    const sealed = /v1\.[\da-f]{16}\.[\w-]+/.exec(xml)?.[0] ?? "";
    const wrap = new KeyWrap({ file: join(credentials, "socle-volume-key"), environment: {} });
    const passphrase = await wrap.unwrap(sealed, `socle guest key 1 ${operation.vmId} disk/data`);
    secrets.set("the disk's passphrase", Buffer.from(passphrase));
    const stop = ["vm", "stop", "sealed", "--grace", "0s", "--force"];
    assert.notEqual(
      await exitCodeOf([...(await acting("a stranger's", new IdentityProvider().token())), ...stop]),
      0,
    );
    assert.equal(await exitCodeOf([...(await acting("Ann's", provider.token())), ...stop]), 0);
    assert.equal(await exitCodeOf(["vm", "start", "sealed"]), 0);
    assert.equal((await host.create(bootSector("gone"))).state, "STATE_SUCCEEDED");
    assert.equal((await host.remove("gone")).state, "STATE_SUCCEEDED");
  });

  test("a secret in an unknown configuration key is refused without showing it, also by a reload", async () => {
    const secret = randomBytes(12).toString("hex");
    secrets.set("a password in the configuration", Buffer.from(secret));
    const before = await readFile(host.agent.configPath, "utf8");
    const wrong = join(credentials, "wrong.yaml");
    const text = `bmc: { password: "${secret}", interface: "${secret}" }\nlibvirt: { uri: "qemu+ssh://me:${secret}@host/system" }\n`;
    await writeFile(wrong, text);
    assert.equal(await exitCodeOf(["config", "check", wrong]), 2);
    await writeFile(host.agent.configPath, text);
    host.agent.signal("SIGHUP");
    await host.agent.logged(
      ({ msg }) => msg.startsWith("the configuration was not reloaded"),
      "the refusal",
      60_000,
    );
    await writeFile(host.agent.configPath, before);
    host.agent.signal("SIGHUP");
    await host.agent.logged(({ msg }) => msg === "configuration read again", "the reload", 60_000);
  });

  test("no output of the agent holds a secret", async () => {
    const keys = await ownKeys();
    // The host's key is in agent.pem and in the last good set.
    const byWords = new Map([...keys].map(([path, words]) => [words.toString(), [path, words]] as const));
    for (const [path, words] of byWords.values()) secrets.set(`the key in ${path}`, words);
    const commands = [
      ...["status", "inventory", "health", "trust", "doctor", "vm ls", "vm show sealed", "operations ls"],
      ...["events --since-start --no-follow", "reservation ls --all", "audit show", "version", "top --once"],
    ];
    for (const command of commands)
      await exitCodeOf([...command.split(" "), ...(command.startsWith("audit") ? configOption() : [])]);
    for (const command of commands.slice(0, 9)) await exitCodeOf([...command.split(" "), "--json"]);
    await exitCodeOf(["config", "show", host.agent.configPath]);
    for (const path of ["/", "/metrics", "/readyz", "/healthz", "/page/history?keys=1"]) await got(path);
    for (const name of await host.domains()) {
      for (const flags of [[], ["--inactive"], ["--migratable"]])
        outputs.set(
          `dumpxml ${name} ${flags.join(" ")}`,
          Buffer.from(await host.virsh("dumpxml", "--security-info", ...flags, name)),
        );
    }
    for (const uuid of (await host.virsh("secret-list")).match(/[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}/g) ??
      [])
      outputs.set(`secret-dumpxml ${uuid}`, Buffer.from(await host.virsh("secret-dumpxml", uuid)));
    outputs.set("the log", Buffer.from(JSON.stringify(host.agent.log) + host.agent.output()));
    for (const path of await ownFiles()) if (!keys.has(path)) outputs.set(path, await readFile(path));
    for (const [what, content] of witness.seen) outputs.set(what, Buffer.from(content));

    // Control: planted secrets are found, and every output was searched.
    for (const [what, secret] of secrets)
      assert.deepEqual(leaks(Buffer.from(`... ${secret.toString("base64")} ...`)), [what]);
    assert.equal(secrets.size, 9 + byWords.size);
    const names = [...outputs.keys()].join("\n");
    for (const one of [
      /cmdline .*ipmitool/,
      /environ .*ipmitool/,
      /cmdline .*qemu-system/,
      /socle enroll/,
      /\/audit\//,
      /dumpxml sealed/,
      /secret-dumpxml/,
      /journal/,
    ])
      assert.match(names, one);
    assert.match(outputs.get("the log")?.toString() ?? "", /"level":"(debug|trace)"/);
    const found = [...outputs].flatMap(([what, content]) =>
      leaks(content).map((secret) => `${secret} is in ${what}`),
    );
    assert.deepEqual(found, []);
  });

  /** Names the acting person with a token. Its signature is the secret, since any holder can use it. */
  async function acting(whose: string, token: string): Promise<string[]> {
    secrets.set(`${whose} token`, Buffer.from(token.split(".")[2] ?? "?"));
    const path = join(work, `${whose} token`);
    await writeFile(path, token, { mode: 0o600 });
    return ["--person-file", path, "--ticket", "CHG-1"];
  }

  const ownFiles = async (): Promise<string[]> => [
    ...(await filesIn(host.agent.directory)),
    ...(await filesIn(join(work, "trust"))),
  ];

  const configOption = (): string[] => ["--config", host.agent.configPath];

  const spec = (name: string) =>
    bootSector(name, {
      disks: [
        { name: "boot", volume: { pool: "images", volume: "bootsector.img" }, readOnly: true },
        {
          name: "data",
          newVolume: {
            pool: "images",
            capacityBytes: 8 * MIB,
            format: "DISK_FORMAT_QCOW2",
            encryption: "VOLUME_ENCRYPTION_LUKS",
          },
        },
      ],
      cloudInit: { userData: `#cloud-config\npassword: ${userData}\n`, networkConfig: `# ${userData}` },
    });

  /** The host's own private keys, by their files, which only the owner may read. */
  async function ownKeys(): Promise<Map<string, Buffer>> {
    const keys = new Map<string, Buffer>();
    for (const path of await ownFiles()) {
      const [, key] =
        /-----BEGIN (?:EC )?PRIVATE KEY-----(?:\s|\\n)+([\w+/]{40})/.exec(await readFile(path, "latin1")) ??
        [];
      if (key === undefined) continue;
      assert.equal((await stat(path)).mode & 0o077, 0, path);
      // All keys of a kind begin alike.
      keys.set(path, Buffer.from(key.slice(-20)));
    }
    assert.ok(keys.size >= 3, "the certificate's key, twice, and the audit log's");
    return keys;
  }
});

async function filesIn(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}
