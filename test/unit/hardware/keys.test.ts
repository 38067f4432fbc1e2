import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { readCpuTopology } from "../../../agent/hardware/cpu/cpu-topology.ts";
import { readPciFunctions } from "../../../agent/hardware/pci/pci.ts";
import { pcieReader } from "../../../agent/hardware/pci/pcie.ts";
import { throttlingReader } from "../../../agent/hardware/cpu/throttling.ts";

test("concurrent readers of one directory each get their own result", async (context) => {
  const sysRoot = await mkdtemp(join(tmpdir(), "socle-keys-"));
  context.after(() => rm(sysRoot, { recursive: true }));
  for (const path of ["bus/pci/devices", "devices/system/cpu"])
    await mkdir(join(sysRoot, path), { recursive: true });
  const roots = { sysRoot, procRoot: sysRoot, devRoot: sysRoot, etcRoot: sysRoot, runRoot: sysRoot };
  const { signal } = new AbortController();
  const [functions, errors] = await Promise.all([
    readPciFunctions(roots),
    pcieReader(roots, () => 0)(signal),
  ]);
  assert.equal(functions.kind, "read");
  assert.match(errors.kind === "unsupported" ? errors.reason : errors.kind, /no PCI device counts/);
  const [topology, throttles] = await Promise.all([
    readCpuTopology(roots),
    throttlingReader(roots, () => 0)(signal),
  ]);
  assert.equal(topology.kind, "unsupported");
  assert.match(throttles.kind === "unsupported" ? throttles.reason : throttles.kind, /do not count/);
});
