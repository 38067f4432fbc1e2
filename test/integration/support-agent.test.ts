import assert from "node:assert/strict";
import { test } from "node:test";
import { AgentProcess } from "../support/agent-process.ts";
import { Libvirtd, libvirtdUnavailable } from "../support/libvirtd.ts";
import { eventually } from "../support/wait.ts";

const skip = libvirtdUnavailable();

test(
  "the agent starts, crashes, starts again on the same state, reloads and stops in order",
  { skip },
  async (t) => {
    const libvirtd = await Libvirtd.start();
    t.after(() => libvirtd.stop());
    const config = { libvirt: { uri: libvirtd.uri } };
    const agent = await AgentProcess.start({ config });
    t.after(() => agent.stop());
    await eventually(
      async () => {
        const readiness = await fetch(`http://${agent.metricsAddress}/readyz`);
        if (readiness.status !== 200) throw new Error(await readiness.text());
        return true;
      },
      { what: "the agent to be ready for changes" },
    );

    await agent.kill();
    await assert.rejects(fetch(`http://${agent.metricsAddress}/healthz`));
    const { readyMs } = await agent.startAgain();
    t.diagnostic(`ready again in ${Math.round(readyMs)} ms (from sources)`);

    await agent.configure({ ...config, log: { level: "debug" } });
    agent.signal("SIGHUP");
    await agent.logged((line) => line["level"] === "info" && line.msg.includes("read again"), "the reload");

    assert.equal(await agent.terminate(), 0, agent.output());
  },
);

test("an agent that cannot start prints the reason", async () => {
  const config = { libvirt: { uri: "test:///default" }, api: { listen: "192.0.2.1:7440" } };
  await assert.rejects(AgentProcess.start({ config }), /192\.0\.2\.1|loopback/);
});
