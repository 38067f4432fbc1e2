import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test, type TestContext } from "node:test";
import { systemClock } from "../../agent/kernel/clock.ts";
import { silentLog } from "../../agent/kernel/log.ts";
import { Libvirt } from "../../agent/libvirt/index.ts";
import { Domains } from "../../agent/vm/hypervisor/domains.ts";
import { guestFilesIn, guestXml } from "../support/guest.ts";
import { Libvirtd, libvirtdUnavailable } from "../support/libvirtd.ts";
import { virsh } from "../support/virsh.ts";
import { eventually } from "../support/wait.ts";
import { Witness, type GuestProcess } from "./witness.ts";

// libvirt's ordinary workers take one call after another, and a hung guest can block them all; priority workers report
// states at once. A start that waits in that queue looks exactly like one that was never sent.
suite("a call in libvirt's queue", { skip: libvirtdUnavailable(), timeout: 120_000 }, () => {
  let libvirtd: Libvirtd;
  let witness: Witness;
  let hung: GuestProcess;
  const holder = randomUUID();
  const waiting = randomUUID();

  before(async () => {
    libvirtd = await Libvirtd.start({ libvirtdConf: ["min_workers = 1", "max_workers = 1"] });
    witness = new Witness(libvirtd);
    const { bootSector } = await guestFilesIn(libvirtd.imagesDirectory);
    for (const [name, uuid] of [
      ["holder", holder],
      ["waiting", waiting],
    ] as const) {
      const xml = join(libvirtd.directory, `${name}.xml`);
      await writeFile(xml, guestXml({ name, uuid, boot: { bootSector } }));
      await witness.virsh("define", xml);
    }
    await witness.virsh("start", "holder");
    const process = await witness.process(holder);
    assert.ok(process);
    hung = process;
  });
  after(() => libvirtd.stop());

  /** Occupies libvirt's only worker until the returned function is called or the test ends. */
  async function holdWorker(t: TestContext): Promise<() => Promise<void>> {
    process.kill(hung.pid, "SIGSTOP");
    const held = witness.virsh("qemu-monitor-command", "holder", "--hmp", "info status");
    // An ordinary call without a reply shows that the worker is occupied.
    await eventually(
      () =>
        virsh(libvirtd.uri, ["metadata", "waiting", "urn:none"], { timeoutMs: 500 }).then(
          () => false,
          isSilence,
        ),
      { what: "the worker to be occupied", timeoutMs: 60_000 },
    );
    const letGo = async (): Promise<void> => {
      process.kill(hung.pid, "SIGCONT");
      await held;
    };
    t.after(letGo);
    return letGo;
  }

  test("its late reply decides the outcome", async (t) => {
    await using libvirt = await Libvirt.connect({ uri: libvirtd.uri, log: silentLog, callTimeoutMs: 500 });
    const letGo = await holdWorker(t);
    const starting = new Domains(libvirt, systemClock).start(waiting);
    // The agent observes four times a second, and would take a missing effect after two seconds for none.
    await eventually(() => libvirt.calls.byOutcome.ok > 16, { what: "the agent to observe longer" });
    assert.equal(await witness.state("waiting"), "shut off");
    await letGo();
    await starting;
    assert.equal(await witness.state("waiting"), "running");
    assert.equal(await witness.starts("waiting"), 1);
    await witness.virsh("destroy", "waiting");
  });

  test("the next agent waits for the effect of an agent that died", async (t) => {
    const dying = await Libvirt.connect({ uri: libvirtd.uri, log: silentLog, callTimeoutMs: 500 });
    await using next = await Libvirt.connect({ uri: libvirtd.uri, log: silentLog, callTimeoutMs: 20_000 });
    const letGo = await holdWorker(t);
    const starting = new Domains(dying, systemClock).start(waiting);
    await eventually(() => dying.calls.pending === 1, { what: "the start to be sent" });
    await dying.close();
    await assert.rejects(starting, { kind: "outcome_unknown" });
    const settled = new Domains(next, systemClock).settledState(waiting);
    assert.equal(await witness.state("waiting"), "shut off");
    await letGo();
    assert.equal((await settled)?.state, "running");
    assert.equal(await witness.starts("waiting"), 2);
  });
});

/** virsh was killed at its timeout. */
const isSilence = (thrown: unknown): boolean =>
  thrown instanceof Error && "killed" in thrown && thrown.killed === true;
