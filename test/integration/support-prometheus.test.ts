import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { Prometheus, prometheusUnavailable, promtoolComplaints } from "../support/prometheus.ts";
import { freePort } from "../support/ports.ts";
import { eventually } from "../support/wait.ts";

const skip = prometheusUnavailable();
const exposition = '# HELP lab_answer What it is.\n# TYPE lab_answer gauge\nlab_answer{vm="a"} 42\n';

test(
  "a real Prometheus scrapes a target, answers queries, and shows why another is down",
  { skip },
  async (t) => {
    const server = createServer((_, response) => {
      response.setHeader("content-type", "text/plain; version=0.0.4");
      response.end(exposition);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    t.after(() => {
      server.close();
      server.closeAllConnections();
    });
    const up = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const down = `127.0.0.1:${await freePort()}`;
    const prometheus = await Prometheus.start({ targets: [up, down], scrapeIntervalMs: 200 });
    t.after(() => prometheus.stop());

    const [sample] = await prometheus.queryUntil('lab_answer{vm="a"}');
    assert.equal(sample?.value, 42);
    assert.equal(sample.labels["instance"], up);

    const dead = await eventually(async () =>
      (await prometheus.targets()).find(
        ({ health, scrapeUrl }) => health === "down" && scrapeUrl.includes(down),
      ),
    );
    assert.match(dead.lastError, /connection refused/);
  },
);

test("promtool reports only the bad names", { skip }, async () => {
  assert.equal(await promtoolComplaints(exposition), "");
  assert.match(await promtoolComplaints("# TYPE lab_answer counter\nlab_answer 1\n"), /_total/);
});
