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
import { older } from "./libvirt-procedures/older.ts";
import { rarely } from "./libvirt-procedures/rarely.ts";
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
  older,
  rarely,
  listening,
};

const noSupport = "libvirt's QEMU driver does not support it";
const agentCommand = "needs a guest agent with this command";
const mediated = "needs a mediated device";
const descriptors = "needs file descriptors, which the client does not pass";

/** Procedures without an answer here, or that a machine may not support; all others must answer. */
const mayBeRefused: Readonly<Record<string, string>> = {
  AUTH_POLKIT: "the daemon asks for no authentication",
  CONNECT_GET_SYSINFO: "takes a machine with SMBIOS",
  DOMAIN_SET_INTERFACE_PARAMETERS: "takes a kernel with htb and sfq",
  NODE_DEVICE_DETACH_FLAGS: "would take a PCI device from the host",
  NODE_DEVICE_RE_ATTACH: "would take a PCI device from the host",
  NODE_DEVICE_RESET: "would take a PCI device from the host",
  NODE_DEVICE_DETTACH: "would take a PCI device from the host",
  CONNECT_DOMAIN_XML_FROM_NATIVE: noSupport,
  DOMAIN_ATTACH: noSupport,
  DOMAIN_CREATE_WITH_FILES: noSupport,
  DOMAIN_CREATE_XML_WITH_FILES: noSupport,
  DOMAIN_MIGRATE_PREPARE: noSupport,
  DOMAIN_SEND_PROCESS_SIGNAL: noSupport,
  NODE_SUSPEND_FOR_DURATION: "would suspend the host: asked of the test driver",
  DOMAIN_AUTHORIZED_SSH_KEYS_GET: agentCommand,
  DOMAIN_AUTHORIZED_SSH_KEYS_SET: agentCommand,
  DOMAIN_PM_SUSPEND_FOR_DURATION: agentCommand,
  DOMAIN_SET_USER_PASSWORD: agentCommand,
  DOMAIN_PM_WAKEUP: "needs a suspended guest",
  DOMAIN_FD_ASSOCIATE: descriptors,
  DOMAIN_OPEN_GRAPHICS: descriptors,
  DOMAIN_GRAPHICS_RELOAD: "needs VNC with TLS",
  DOMAIN_SET_LAUNCH_SECURITY_STATE: "needs SEV",
  NODE_GET_SEV_INFO: "needs SEV",
  NODE_DEVICE_CREATE: mediated,
  NODE_DEVICE_CREATE_XML: mediated,
  NODE_DEVICE_DEFINE_XML: mediated,
  NODE_DEVICE_DESTROY: mediated,
  NODE_DEVICE_SET_AUTOSTART: mediated,
  NODE_DEVICE_UNDEFINE: mediated,
  NODE_DEVICE_UPDATE: mediated,
  NODE_DEVICE_LOOKUP_SCSI_HOST_BY_WWN: "needs a Fibre Channel host",
};

/** Not called at all. */
const untried: Readonly<Record<string, string>> = {
  AUTH_SASL_INIT: "the client does not speak SASL",
  AUTH_SASL_START: "the client does not speak SASL",
  AUTH_SASL_STEP: "the client does not speak SASL",
  DOMAIN_MIGRATE_PERFORM: "of the second migration protocol, which libvirt 0.9.2 replaced",
  DOMAIN_MIGRATE_FINISH: "of the first migration protocol, which libvirt 0.5.0 replaced",
  DOMAIN_MIGRATE_PREPARE2: "of the second migration protocol, which libvirt 0.9.2 replaced",
  DOMAIN_MIGRATE_FINISH2: "of the second migration protocol, which libvirt 0.9.2 replaced",
  DOMAIN_MIGRATE_PREPARE_TUNNEL: "the client carries no guest's memory",
  DOMAIN_MIGRATE_PREPARE_TUNNEL3: "the client carries no guest's memory",
  DOMAIN_MIGRATE_PREPARE_TUNNEL3_PARAMS: "the client carries no guest's memory",
  DOMAIN_OPEN_GRAPHICS_FD: descriptors,
  DOMAIN_MONITOR_COMMAND_WITH_FILES: descriptors,
};

// Calls the procedures of agent/libvirt/protocol on a real daemon with real guests, and compares the answers with those
// of libvirt's own client.
test("every procedure, on a real libvirtd", { skip: libvirtdUnavailable(), timeout: 300_000 }, async (t) => {
  const world = await makeWorld();
  try {
    for (const [area, proofs] of Object.entries(areas)) {
      await t.test(area, async (t) => {
        for (const [name, prove] of Object.entries(proofs)) await t.test(name, () => prove(world));
      });
    }
    await t.test("no procedure is untested", (t) => {
      t.diagnostic(`${world.ledger.answeredCount} of ${everyProcedure.length} procedures answered`);
      for (const [name, reason] of Object.entries(world.ledger.onlyRefused)) {
        t.diagnostic(`refused here: ${name}: ${reason}: ${mayBeRefused[name] ?? "unexpectedly"}`);
      }
      const unheard = everyEvent
        .filter((each) => !world.recorder.kindsReceived.has(each))
        .map(({ name }) => name);
      t.diagnostic(`events not provoked here: ${unheard.join(", ")}`);
      assert.deepEqual(world.ledger.untried.sort(), Object.keys(untried).sort());
      const unexpected = Object.keys(world.ledger.onlyRefused).filter((name) => !(name in mayBeRefused));
      assert.deepEqual(unexpected, []);
    });
  } finally {
    await world.close();
  }
});
