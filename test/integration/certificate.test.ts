import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { AgentProcess } from "../support/agent-process.ts";
import { eventually } from "../support/wait.ts";
import { Authority, installTrust } from "../scheduler/authority.ts";

const DAY_MS = 86_400_000;

test("an agent with an expired certificate runs on and reports it in health and metrics", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "socle-certificate-"));
  t.after(() => rm(directory, { recursive: true }));
  const domain = "cloud.example";
  const authority = await Authority.make(domain);
  const issued = await authority.issue("agent/host-1", {
    notBefore: new Date(Date.now() - 3 * DAY_MS),
    notAfter: new Date(Date.now() - DAY_MS),
  });
  await installTrust(directory, authority, issued);
  // Authentication needs no libvirt.
  const libvirt = { uri: `qemu+unix:///system?socket=${join(directory, "none.sock")}` };
  const config = { libvirt, trust: { domain, directory } };
  const agent = await AgentProcess.start({ config, startTimeoutMs: 120_000 });
  t.after(() => agent.stop());
  const scrape = async (): Promise<string> => {
    const answer = await fetch(
      `http://${agent.metricsAddress}/metrics?collect[]=host_certificate&collect[]=host_health`,
    );
    return await answer.text();
  };
  const reported = await eventually(
    async () => {
      const text = await scrape();
      const isOn = /socle_host_health_condition\{condition="CertificateExpiring",status="true"\} 1/.test(
        text,
      );
      return isOn && text;
    },
    { what: "the condition", timeoutMs: 60_000 },
  );
  const remaining = Number(/^socle_host_certificate_remaining_seconds (.*)$/m.exec(reported)?.[1]);
  assert.ok(remaining < -86_000 && remaining > -2 * 86_400, `${remaining}`);
  assert.match(reported, /^socle_host_certificate_lifetime_seconds 172800$/m);
});
