import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import type { Colour } from "../../../agent/cli/io.ts";
import { renderFields, renderTable } from "../../../agent/cli/table.ts";
import { fakeAgent, socle } from "../../support/cli/fake-agent.ts";
import { ago, host, operation, vm } from "../../support/cli/samples.ts";

const evidence =
  "hwmon0/temp1 measures 96.0 degrees, which is less than 3 below where the hardware protects itself, by its own word";
const condition = (type: string, effect: "DEGRADED" | "EVACUATE", status: "TRUE" | "UNKNOWN" = "TRUE") =>
  ({
    type,
    status: `TRUTH_${status}`,
    effect: `EFFECT_${effect}`,
    reason: "Hot",
    evidence,
    since: ago(60),
  }) as const;

function agentOf(context: TestContext): Promise<string> {
  const conditions = [
    condition("A", "DEGRADED", "UNKNOWN"),
    condition("B", "DEGRADED"),
    condition("C", "DEGRADED", "UNKNOWN"),
    condition("D", "DEGRADED"),
    condition("Thermal", "EVACUATE"),
    { ...condition("Psu", "EVACUATE", "UNKNOWN"), reason: "NotPresent" },
  ];
  return fakeAgent(context, {
    host: { GetHost: (_, done) => done(null, host({ health: { state: "EFFECT_EVACUATE", conditions } })) },
    vms: {
      ListVms: (_, done) =>
        done(null, {
          vms: [
            vm({ name: "a-name-of-a-vm-that-goes-on-for-longer-than-people-think" }),
            vm({ name: "日本語で名付けられた仮想マシン".repeat(3) }),
          ],
          observation: { presence: "PRESENCE_PRESENT", observedAt: ago(2) },
        }),
    },
    operations: { ListOperations: (_, done) => done(null, { operations: [operation()] }) },
    reservations: { ListReservations: (_, done) => done(null, {}) },
  });
}

/** The number of columns that a terminal uses for it. */
const shown = (text: string): number => text.length + (text.match(/[\u3000-\u9fff]/g) ?? []).length;

const commands = [
  ["status"],
  ["health"],
  ["inventory"],
  ["vm", "ls"],
  ["operations", "ls"],
  ["top", "--once"],
];

test("on a terminal no line is wider than it, and a table loses no text for that", async (context) => {
  const socket = await agentOf(context);
  for (const columns of [60, 80, 200])
    for (const line of commands) {
      const options = { socket, isTTY: true, columns, env: { NO_COLOR: "1" } };
      const { stdout, exitCode } = await socle(line, options);
      assert.equal(exitCode, 0);
      for (const text of stdout.split("\n"))
        assert.ok(shown(text) <= columns, `${line.join(" ")} in ${columns}: ${text}`);
    }
  const { stdout } = await socle(["health"], { socket, isTTY: true, columns: 100, env: { NO_COLOR: "1" } });
  const [, table = ""] = stdout.split("\n\n");
  const words = table.split("\n").map((text) => text.slice(table.indexOf("EVIDENCE")).trim());
  assert.ok(words.join(" ").includes(evidence), "the text continues below itself");
});

test("text that is not cut stands in its column, however wide its characters are", async (context) => {
  const socket = await agentOf(context);
  for (const line of [["vm", "ls"], ["top"]]) {
    const rows = (await socle(line, { socket })).stdout.split("\n").filter((text) => / 1\.5 GiB /.test(text));
    const [first, second] = rows.map((row) => shown(row.slice(0, row.indexOf(" 1.5 GiB "))));
    assert.deepEqual([rows.length, first], [2, second], line.join(" "));
  }
});

test("a table has space for every row of a long audit log", () => {
  const rows = Array.from({ length: 150_000 }, (_, at) => at);
  const column = { title: "ENTRY", cell: String };
  const lines = renderTable([column], rows, (_, text) => text).split("\n");
  assert.deepEqual([lines.length, lines.at(-2)], [150_002, "149999"]);
});

test("blanks after a coloured value do not push it past the terminal's edge", () => {
  const mark = (_: Colour, text: string): string => `<${text}>`;
  const column = { title: "A", cell: () => "well          ", paint: (text: string) => mark("red", text) };
  assert.equal(renderTable([column], [1], Object.assign(mark, { width: 8 })), "<A>\n<well>\n");
});

test("words are separated also after one that is longer than a line", () => {
  const path = `/${"long/".repeat(12)}`;
  const paint = Object.assign((_: Colour, text: string) => text, { width: 30 });
  const lines = renderFields([["evidence", `${path} is 96 % full, of 4 GiB`]], paint).split("\n");
  const words = lines.map((text) => text.slice("evidence  ".length));
  assert.ok(words.every((text) => text.length <= 20));
  assert.doesNotMatch(words.join("\n"), /\/is/);
});

test("a colour continues on the next line of its text", async (context) => {
  const socket = await agentOf(context);
  const { stdout } = await socle(["health"], { socket, isTTY: true, columns: 60 });
  for (const text of stdout.split("\n")) {
    const codes = text
      .split("\u001b[")
      .slice(1)
      .map((code) => code.slice(0, code.indexOf("m")));
    const ends = codes.filter((code) => code === "39" || code === "22");
    assert.equal(ends.length, codes.length / 2, JSON.stringify(text));
  }
});

test("without a terminal no text is cut", async (context) => {
  const socket = await agentOf(context);
  for (const line of [["status"], ["health"], ["top"]])
    assert.ok((await socle(line, { socket })).stdout.includes(evidence), line.join(" "));
  for (const line of [["vm", "ls"], ["top"]])
    assert.match(
      (await socle(line, { socket })).stdout,
      /^a-name-of-a-vm-that-goes-on-for-longer-than-people-think /m,
    );
});

test("top shows the worst conditions, and the number of the others", async (context) => {
  const socket = await agentOf(context);
  const { stdout } = await socle(["top"], { socket, isTTY: true, columns: 80, env: { NO_COLOR: "1" } });
  const notices = stdout.split("\n").filter((text) => / (true|unknown): |^and /.test(text));
  assert.deepEqual(
    notices.map((text) => text.split(":")[0]),
    ["Thermal true", "B true", "D true", "and 2 more"],
  );
});

test("a partly coloured value continues below itself, each word once", async (context) => {
  const blockingConditions = ["ClockUnsynced", "KvmUnavailable", "MemoryUncorrected", "StoragePoolDown"];
  const socket = await fakeAgent(context, {
    host: {
      GetHost: (_, done) =>
        done(
          null,
          host({ health: { state: "EFFECT_NO_SCHEDULE", schedulable: "TRUTH_FALSE", blockingConditions } }),
        ),
    },
  });
  const { stdout } = await socle(["health"], { socket, isTTY: true, columns: 60, env: {} });
  for (const name of blockingConditions) assert.equal(stdout.split(name).length, 2, stdout);
  for (const text of stdout.split("\n"))
    // oxlint-disable-next-line no-control-regex -- colours are not shown
    assert.ok(text.replace(/\u001b\[\d+m/g, "").length <= 60, text);
});
