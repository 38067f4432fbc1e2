import assert from "node:assert/strict";
import { once } from "node:events";
import { readdir, writeFile } from "node:fs/promises";
import { get, type IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { publicEvidence } from "../../agent/page/public-health.ts";
import { Browser, browserUnavailable, type BrowserPage } from "../support/browser.ts";
import { guestXml } from "../support/guest.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { hostOf, PageStage, vmOf, well } from "../support/page-stage.ts";
import { SocleHost } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";
import { unlisted } from "../support/host/unlisted.ts";

const noBrowser = browserUnavailable();
const hostile = `<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>`;
/** The text of a VM's row. */
const rowOf = (name: string): string =>
  `([...document.querySelectorAll("tbody tr")].find((row) => row.querySelector(".name")?.textContent === ${JSON.stringify(name)})?.innerText ?? "")`;

test("a browser leaves no temporary files", { skip: noBrowser }, async () => {
  const left = async (): Promise<string[]> =>
    (await readdir(tmpdir())).filter((name) => name.startsWith("org.chromium."));
  const before = await left();
  await (await Browser.start()).stop();
  assert.deepEqual(
    (await left()).filter((name) => !before.includes(name)),
    [],
  );
});

describe("the page of a simulated host", { skip: noBrowser }, () => {
  let browser: Browser;
  before(async () => {
    browser = await Browser.start();
  });
  after(() => browser.stop());

  async function open(stage: PageStage, options: Parameters<Browser["open"]>[1] = {}): Promise<BrowserPage> {
    const page = await browser.open(stage.url, options);
    await page.until(`document.querySelector("#link").textContent === "live"`, "the page to be live");
    return page;
  }

  test("names, tenants and evidence with markup are shown as text", async (t) => {
    const stage = await PageStage.start();
    t.after(() => stage.stop());
    const bad = { ...well("DiskSpace"), status: "true", effect: "degraded", evidence: hostile } as const;
    const { health } = stage.snapshot;
    stage.snapshot = { ...stage.snapshot, health: { ...health, conditions: [bad] } };
    stage.table.put(vmOf(1, { name: hostile, tenant: hostile }));
    stage.publish({ kind: "vm_rebooted", vmName: hostile });
    await stage.rounds(2);
    const page = await open(stage);
    await page.until(rowOf(hostile), "the row of the VM");
    await page.until(
      `document.querySelector(".evidence")?.textContent === ${JSON.stringify(publicEvidence("DiskSpace", hostile))}`,
      "the evidence",
    );
    assert.equal(await page.value("document.querySelectorAll('img').length"), 0);
    assert.equal(await page.value("typeof window.pwned"), "undefined");
    assert.deepEqual(page.errors, []);
    // Even a bug of the page could not turn it into markup: the browser refuses that.
    for (const injection of [
      `document.body.innerHTML = ${JSON.stringify(hostile)}`,
      `document.body.append(Object.assign(document.createElement("script"), { text: "window.pwned=1" }))`,
      `setTimeout("window.pwned=1")`,
    ]) {
      await assert.rejects(page.value(injection), injection);
    }
    await page
      .value(`document.body.setAttribute("onclick", "window.pwned=1"), document.body.click()`)
      .catch(() => 0);
    assert.equal(await page.value("typeof window.pwned"), "undefined");
    await page.close();
  });

  test("a condition shows its subjects and whether it is acknowledged", async (t) => {
    const stage = await PageStage.start();
    t.after(() => stage.stop());
    const on = (type: string, of: Partial<ReturnType<typeof well>>) => ({
      ...well(type),
      status: "true" as const,
      latched: true,
      ...of,
    });
    const disks = Array.from({ length: 15 }, (_, index) => `nvme${index}`);
    const { health } = stage.snapshot;
    const conditions = [
      on("MemoryUncorrected", {
        effect: "evacuate",
        subjects: ["mc0/dimm1", "mc1/dimm0"],
        acknowledged: true,
        untilReboot: true,
      }),
      on("KernelFault", { effect: "no_schedule", untilReboot: true }),
      on("DiskWear", { effect: "degraded", subjects: disks }),
      well("Thermal"),
    ];
    stage.snapshot = { ...stage.snapshot, health: { ...health, conditions } };
    await stage.rounds(2);
    const page = await open(stage, { width: 390, height: 844, phone: true });
    await page.until(`document.querySelectorAll(".conditions li").length === 3`, "the true conditions");
    const shown = await page.value<{ of: string; why: string; subjects: string[] }[]>(
      `[...document.querySelectorAll(".conditions li")].map((li) => ({
        of: li.className,
        why: li.querySelector(".why").textContent,
        subjects: [...li.querySelectorAll(".subjects span")].map((one) => one.textContent),
      }))`,
    );
    assert.deepEqual(shown, [
      {
        of: "evacuate acknowledged",
        why: "healthy, ✓ acknowledged, held until a reboot",
        subjects: ["mc0/dimm1", "mc1/dimm0"],
      },
      {
        of: "no_schedule",
        why: "healthy, held until an operator acknowledges it, and a reboot",
        subjects: [],
      },
      {
        of: "degraded",
        why: "healthy, held until an operator acknowledges it",
        subjects: [...disks.slice(0, 12), "and 3 more"],
      },
    ]);
    assert.equal(await page.value("document.documentElement.scrollWidth"), 390);
    // An acknowledgement shows without a reload.
    const acknowledged = conditions.map((one) => ({ ...one, acknowledged: one.latched }));
    stage.snapshot = { ...stage.snapshot, health: { ...health, conditions: acknowledged } };
    await stage.rounds(1);
    await page.until(`document.querySelectorAll(".conditions li.acknowledged").length === 3`, "its sign");
    await page.close();
  });

  test("a refused watcher sees the reason and watches later; a hidden tab frees its place", async (t) => {
    const stage = await PageStage.start();
    t.after(() => stage.stop());
    const streams: IncomingMessage[] = [];
    const take = async (): Promise<number | undefined> => {
      const [response] = (await once(
        get(new URL("/page/stream", stage.url), { agent: false }),
        "response",
      )) as [IncomingMessage];
      if (response.statusCode === 200) streams.push(response.on("error", () => undefined));
      else response.resume();
      return response.statusCode;
    };
    t.after(() => streams.forEach((stream) => stream.destroy()));
    while ((await take()) === 200);
    const page = await browser.open(stage.url);
    await page.until(
      `/too many browsers watch/.test(document.querySelector("#notices").innerText)`,
      "the reason",
    );
    assert.equal(await page.value("document.querySelector('#link').textContent"), "connecting");
    streams.pop()?.destroy();
    await page.until(`document.querySelector("#link").textContent === "live"`, "the page to be live", 20_000);
    assert.doesNotMatch(
      await page.value<string>("document.querySelector('#notices').innerText"),
      /too many browsers/,
    );

    const look = (isHidden: boolean): Promise<unknown> =>
      page.value(
        `Object.defineProperty(document, "hidden", { value: ${String(isHidden)}, configurable: true }), document.dispatchEvent(new Event("visibilitychange"))`,
      );
    assert.equal(await take(), 503);
    await look(true);
    await eventually(async () => (await take()) === 200, { what: "the tab's place" });
    stage.table.put(vmOf(1, { name: "meanwhile" }));
    streams.pop()?.destroy();
    await look(false);
    await page.until(rowOf("meanwhile"), "the missed changes", 20_000);
    await page.close();
  });

  test("the reason of a cordon is shown unchanged", async (t) => {
    const stage = await PageStage.start();
    t.after(() => stage.stop());
    for (const reason of ["INC_0042", "New fans in Rack B"])
      stage.publish({ kind: "scheduling_changed", reason, details: { state: "cordoned" } });
    const page = await browser.open(stage.url);
    await page.until(`/scheduling changed/.test(document.querySelector("#events").innerText)`, "the events");
    const shown = await page.value<string>(`document.querySelector("#events").innerText`);
    for (const reason of ["INC_0042", "New fans in Rack B"]) assert.ok(shown.includes(reason), shown);
    await page.close();
  });

  test("an incomplete VM list is not shown as a libvirt that does not answer", async (t) => {
    const stage = await PageStage.start();
    t.after(() => stage.stop());
    stage.table.put(vmOf(1));
    const page = await browser.open(stage.url);
    await page.until(
      `/has not reported all VMs: there may be others/.test(document.querySelector("#notices").innerText)`,
      "the notice",
    );
    await stage.rounds(1);
    await page.until(`!/VMs/.test(document.querySelector("#notices").innerText)`, "the notice to go", 20_000);
    await page.close();
  });

  test("of 1,000 VMs only the visible rows exist; they are sorted, filtered, and reached by keys", async (t) => {
    const stage = await PageStage.start();
    t.after(() => stage.stop());
    stage.snapshot = hostOf({ cells: 8, cpus: 128, used: 0.5 });
    for (let index = 0; index < 1000; index += 1) {
      stage.table.put(vmOf(index, { name: `vm-${String(index).padStart(4, "0")}`, cells: [index % 8] }));
    }
    await stage.rounds(5);
    const page = await open(stage);
    await page.until(rowOf("vm-0000"), "the first row");
    assert.ok((await page.value<number>(`document.querySelectorAll("tbody tr").length`)) < 100);
    assert.equal(await page.value(`document.querySelectorAll("svg.cell").length`), 8);
    assert.equal(await page.value(`document.querySelectorAll(".cpus rect").length`), 1024);
    assert.equal(await page.value(`document.querySelectorAll(".seats .seat").length`), 1000);
    await page.until(`document.querySelector("tbody .line[d^=M]")`, "lines in the graphs");
    await page.value(`scrollTo(0, document.body.scrollHeight)`);
    await page.until(rowOf("vm-0999"), "the last row");
    await page.value(
      `[...document.querySelectorAll("thead button")].find((of) => of.textContent === "cpu").click()`,
    );
    await page.value(`scrollTo(0, 0)`);
    await page.until(`document.querySelector(".of-cpu[aria-sort=descending]")`, "the column to be sorted");
    const shares = await page.value<string[]>(
      `[...document.querySelectorAll("td.of-cpu .text")].slice(0, 20).map((of) => of.textContent)`,
    );
    const numbers = shares.map((text) => Number.parseInt(text, 10));
    assert.deepEqual(
      numbers,
      [...numbers].sort((a, b) => b - a),
    );
    await page.value(
      `(() => { const of = document.querySelector("#filter"); of.value = "0123"; of.dispatchEvent(new Event("input")); })()`,
    );
    await page.until(
      `document.querySelector("#counts").textContent.startsWith("1 of 1000")`,
      "one to be left",
    );
    await page.value(`document.querySelector("tbody tr:not(.space)").click()`);
    await page.until(
      `document.querySelector(".seats .selected title")?.textContent.startsWith("vm-0123")`,
      "where it sits",
    );
    assert.deepEqual(page.errors, []);
    await page.close();
  });

  test("free capacity is unknown before libvirt has listed the VMs", async (t) => {
    const stage = await PageStage.start();
    t.after(() => stage.stop());
    stage.snapshot = unlisted(hostOf({ cells: 1, cpus: 8, used: 0.5 }));
    const page = await open(stage, { width: 1200, height: 800 });
    await page.until(`document.querySelector(".resource .number") !== null`, "the resources");
    assert.deepEqual(
      await page.value(
        `[...document.querySelectorAll(".resource .number")].map((of) => of.textContent.split(" of ")[0])`,
      ),
      ["free capacity is unknown", "free capacity is unknown", "free capacity is unknown"],
    );
    assert.deepEqual(page.errors, []);
    await page.close();
  });

  test("a phone shows the page without horizontal scrolling", async (t) => {
    const stage = await PageStage.start();
    t.after(() => stage.stop());
    stage.snapshot = hostOf({ cells: 2, cpus: 64, used: 0.5 });
    for (let index = 0; index < 30; index += 1) stage.table.put(vmOf(index, { cells: [index % 2] }));
    const { capacity } = stage.snapshot;
    stage.snapshot = { ...stage.snapshot, capacity: { ...capacity, dedicatedCpus: [4, 5, 6] } };
    stage.table.put(vmOf(31, { name: "alone", cells: [0], vcpuPins: [[4], [5]] }));
    await stage.rounds(3);
    const page = await open(stage, { width: 390, height: 844, phone: true });
    await page.until(rowOf("vm-1"), "a row");
    assert.equal(await page.value("document.documentElement.scrollWidth"), 390);
    assert.equal(await page.value(`document.querySelectorAll("svg.cell").length`), 2);
    assert.deepEqual(
      await page.value(
        `[...document.querySelectorAll(".cpus .dedicated title")].map((of) => of.textContent)`,
      ),
      ["CPU 4, dedicated pinned: alone", "CPU 5, dedicated pinned: alone", "CPU 6, dedicated"],
    );
    // A virtual function is shown with its physical device.
    assert.deepEqual(
      await page.value(`[...document.querySelectorAll(".device")].map((of) => of.classList[1])`),
      ["network", "storage", "gpu"],
    );
    await page.close();
  });
});

const noHost = noBrowser || libvirtdUnavailable();

test(
  "a real host without a reload: a guest starts, libvirt restarts, the agent restarts",
  { skip: noHost },
  async (t) => {
    const host = await SocleHost.start({ config: { vm: { sampleIntervalSeconds: 1 } } });
    t.after(() => host.stop());
    const browser = await Browser.start();
    t.after(() => browser.stop());
    const page = await browser.open(`http://${host.agent.metricsAddress}/`);
    await page.until(`document.querySelector("#counts").textContent === "none"`, "a host without VMs");
    await page.value("window.isTheSamePage = true");

    const xml = join(host.libvirtd.directory, "guest.xml");
    await writeFile(xml, guestXml({ name: "page-guest", boot: { bootSector: host.files.bootSector } }));
    await host.virsh("define", xml);
    await page.until(`/stopped/.test(${rowOf("page-guest")})`, "the guest that was defined");
    await host.virsh("start", "page-guest");
    await page.until(`/running/.test(${rowOf("page-guest")})`, "the guest to run");
    await page.until(`/\\d+%/.test(${rowOf("page-guest")})`, "its readings");
    await page.until(
      `/vm state changed\\s+page-guest/.test(document.querySelector("#events").innerText)`,
      "its event",
    );

    await host.libvirtd.kill("SIGKILL");
    await page.until(`/running\\?/.test(${rowOf("page-guest")})`, "the guest to be unknown");
    assert.doesNotMatch(
      await page.value<string>(rowOf("page-guest")),
      /\d+%/,
      "unknown values show no number",
    );
    assert.match(
      await page.value<string>(`document.querySelector("#notices").innerText`),
      /libvirt does not answer/,
    );
    await host.libvirtd.startAgain();
    await page.until(`/running(?!\\?)/.test(${rowOf("page-guest")})`, "the guest to be shown again", 40_000);

    assert.equal(await host.agent.terminate(), 0, host.agent.output());
    await page.until(`document.documentElement.classList.contains("old")`, "the page to look outdated");
    assert.match(await page.text("#link"), /^lost .* ago$/);
    await host.agent.startAgain();
    await page.until(
      `!document.documentElement.classList.contains("old") && ${rowOf("page-guest")}`,
      "the page to be live",
      40_000,
    );
    assert.equal(await page.value("window.isTheSamePage"), true);
  },
);
