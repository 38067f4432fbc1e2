// A person's token that openssl signed, and an emergency without one, through the agent's process and its CLI.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { AgentProcess } from "../support/agent-process.ts";
import { eventually } from "../support/wait.ts";
import { socle, type Ran } from "../support/cli/fake-agent.ts";
import { annsClaims, audience, encoded, issuer } from "../support/trust/identity-provider.ts";

const openssl = (...args: string[]): Buffer => execFileSync("openssl", args, { timeout: 60_000 });

/** openssl's keys and signed tokens, in `directory`, by name. */
function provider(directory: string, name: string) {
  const at = (file: string): string => join(directory, `${name}.${file}`);
  openssl("genpkey", "-algorithm", "ed25519", "-out", at("key"));
  openssl("pkey", "-in", at("key"), "-pubout", "-out", at("pub"));
  return {
    publicKey: at("pub"),
    async token(claims: object = {}): Promise<string> {
      const text = `${encoded({ alg: "EdDSA" })}.${encoded({ ...annsClaims(), ...claims })}`;
      await writeFile(at("text"), text);
      const signature = openssl("pkeyutl", "-sign", "-rawin", "-inkey", at("key"), "-in", at("text"));
      await writeFile(at("token"), `${text}.${signature.toString("base64url")}\n`, { mode: 0o600 });
      return at("token");
    },
  };
}

async function stage(t: TestContext) {
  const directory = await mkdtemp(join(tmpdir(), "socle-people-"));
  t.after(() => rm(directory, { recursive: true }));
  const keys = join(directory, "idp.pem");
  const put = async (path: string): Promise<void> => {
    await writeFile(`${keys}.new`, await readFile(path), { mode: 0o644 });
    await rename(`${keys}.new`, keys);
  };
  const idp = provider(directory, "idp");
  await put(idp.publicKey);
  // No libvirt is needed to cordon a host.
  const libvirt = { uri: `qemu+unix:///system?socket=${join(directory, "none.sock")}` };
  const people = { keys, issuer, audience, required: "everywhere" } as const;
  const agent = await AgentProcess.start({ config: { libvirt, people }, startTimeoutMs: 120_000 });
  t.after(() => agent.stop());
  const run = (...line: string[]): Promise<Ran> => socle(line, { socket: agent.socketPath });
  const audit = async (): Promise<Record<string, unknown>[]> => {
    const show = ["audit", "show", "--json", "--directory", join(agent.directory, "state", "audit")];
    // A new log does not verify before its first checkpoint, which comes within a second.
    const { stdout } = await eventually(
      async () => {
        const shown = await run(...show);
        return shown.exitCode === 0 && shown;
      },
      { what: "a verifiable log", timeoutMs: 60_000 },
    );
    return stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  return { directory, agent, idp, put, run, audit };
}

function callerOf(entry: Record<string, unknown> | undefined): Record<string, unknown> {
  return (entry?.["caller"] ?? {}) as Record<string, unknown>;
}

test("a person acts with the provider's token; a reload reads the provider's keys again; the audit log names the person", async (t) => {
  const { directory, agent, idp, put, run, audit } = await stage(t);
  const cordon = ["cordon", "--reason", "test"];
  const alone = await run(...cordon);
  assert.equal(alone.exitCode, 5);
  assert.match(alone.stderr, /person's token[^]*--person-file/);
  const token = await idp.token();
  const reported = await run("--person-file", token, "--ticket", "CHG-7", ...cordon);
  assert.equal(reported.exitCode, 0, reported.stderr);

  const entries = await audit();
  const of = (act: string) => entries.filter((entry) => entry["act"] === act);
  assert.deepEqual([of("call_refused").length, of("call_refused")[0]?.["reason"]], [1, "PERSON_MISSING"]);
  const { person, ticket, token: id } = callerOf(of("call_admitted")[0]);
  assert.deepEqual([person, ticket, id], ["ann@example", "CHG-7", "t-1"]);
  assert.equal(of("identity_keys_changed").length, 1, "the keys at the start are recorded");

  const [, , signature = "none"] = (await readFile(token, "utf8")).trim().split(".");
  for (const reported of [entries, agent.log])
    assert.ok(!JSON.stringify(reported).includes(signature), "the token itself is recorded nowhere");

  const reloaded = async (line: string, what: string): Promise<void> => {
    const before = agent.log.length;
    agent.signal("SIGHUP");
    await eventually(() => agent.log.slice(before).some(({ msg }) => msg.includes(line)), {
      what,
      timeoutMs: 60_000,
    });
  };
  const broken = join(directory, "broken");
  await writeFile(broken, "nothing");
  await put(broken);
  await reloaded("the last good ones stay in use", "the refusal of the keys");
  assert.equal((await run("--person-file", token, "uncordon")).exitCode, 0);
  const next = provider(directory, "next");
  await put(next.publicKey);
  await reloaded("keys are in use", "the new keys");
  assert.equal(
    (await run("--person-file", token, "uncordon")).exitCode,
    5,
    "the old key is not accepted any more",
  );
  assert.equal((await run("--person-file", await next.token(), "uncordon")).exitCode, 0);
  const outcomes = (await audit())
    .filter(({ act }) => act === "identity_keys_changed")
    .map(({ outcome }) => outcome);
  assert.deepEqual(outcomes, ["done", "failed", "done"]);
});

test("break-glass is accepted and shown in events, health, metrics and the audit log", async (t) => {
  const { agent, idp, run, audit } = await stage(t);
  const reason = "the provider is down, INC-12";
  const used = await run("--break-glass", reason, "cordon", "--reason", "test");
  assert.equal(used.exitCode, 0, used.stderr);
  const events = await run("events", "--since-start", "--no-follow", "--json", "--kind", "break_glass");
  assert.match(events.stdout, new RegExp(reason));
  const admitted = (await audit()).find(({ act }) => act === "call_admitted");
  assert.equal(callerOf(admitted)["breakGlass"], reason);
  const scrape = async (): Promise<string> =>
    await (await fetch(`http://${agent.metricsAddress}/metrics`)).text();
  const metrics = await scrape();
  assert.match(metrics, /^socle_break_glass_calls_total 1$/m);
  assert.match(metrics, /^socle_host_health_condition\{condition="BreakGlass",status="true"\} 1$/m);

  const self = await run("--break-glass", "I have seen it", "health", "ack", "BreakGlass");
  assert.equal(self.exitCode, 5, self.stdout);
  const seen = await run("--person-file", await idp.token(), "health", "ack", "BreakGlass");
  assert.equal(seen.exitCode, 0, seen.stderr);
  assert.match(await scrape(), /^socle_host_health_condition\{condition="BreakGlass",status="false"\} 1$/m);
});
