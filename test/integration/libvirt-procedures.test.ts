import assert from "node:assert/strict";
import { test } from "node:test";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { connect } from "./libvirt-procedures/connect.ts";
import { device } from "./libvirt-procedures/device.ts";
import { domain } from "./libvirt-procedures/domain.ts";
import { guestAgent } from "./libvirt-procedures/guest-agent.ts";
import { everyEvent, everyProcedure } from "./libvirt-procedures/ledger.ts";
import { listening } from "./libvirt-procedures/listening.ts";
import { migration } from "./libvirt-procedures/migration.ts";
import { network } from "./libvirt-procedures/network.ts";
import { node } from "./libvirt-procedures/node.ts";
import { secret } from "./libvirt-procedures/secret.ts";
import { snapshot } from "./libvirt-procedures/snapshot.ts";
import { storage } from "./libvirt-procedures/storage.ts";
import { tuning } from "./libvirt-procedures/tuning.ts";
import { makeWorld, type Proofs } from "./libvirt-procedures/world.ts";

const areas: Readonly<Record<string, Proofs>> = {
  connect,
  node,
  storage,
  network,
  secret,
  domain,
  device,
  tuning,
  snapshot,
  migration,
  guestAgent,
  listening,
};

/** Those that this test provokes no answer to, or that a machine may not be able to do; every other must answer. */
const mayBeRefused: Readonly<Record<string, string>> = {
  AUTH_POLKIT: "the daemon asks for no authentication",
  CONNECT_GET_SYSINFO: "takes a machine with SMBIOS",
  DOMAIN_SET_INTERFACE_PARAMETERS: "takes a kernel with htb and sfq",
  NODE_DEVICE_DETACH_FLAGS: "would take a PCI device from the host",
  NODE_DEVICE_RE_ATTACH: "would take a PCI device from the host",
  NODE_DEVICE_RESET: "would take a PCI device from the host",
};

// Every procedure of agent/libvirt/protocol is called on a real daemon with real guests, and what it answers is held
// against what libvirt's own client says.
test("every procedure, on a real libvirtd", { skip: libvirtdUnavailable(), timeout: 300_000 }, async (t) => {
  const world = await makeWorld();
  try {
    for (const [area, proofs] of Object.entries(areas)) {
      await t.test(area, async (t) => {
        for (const [name, prove] of Object.entries(proofs)) await t.test(name, () => prove(world));
      });
    }
    await t.test("none was left out", (t) => {
      t.diagnostic(`${world.ledger.answeredCount} of ${everyProcedure.length} procedures answered`);
      for (const [name, reason] of Object.entries(world.ledger.onlyRefused)) {
        t.diagnostic(`refused here: ${name}: ${reason}: ${mayBeRefused[name] ?? "unexpectedly"}`);
      }
      const unheard = everyEvent.filter((each) => !world.ears.kindsHeard.has(each)).map(({ name }) => name);
      t.diagnostic(`events not provoked here: ${unheard.join(", ")}`);
      assert.deepEqual(world.ledger.untried, []);
      const unexpected = Object.keys(world.ledger.onlyRefused).filter((name) => !(name in mayBeRefused));
      assert.deepEqual(unexpected, []);
    });
  } finally {
    await world.close();
  }
});
