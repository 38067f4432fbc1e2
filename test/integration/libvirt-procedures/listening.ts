import * as p from "../../../agent/libvirt/index.ts";
import type { Proofs } from "./world.ts";

export const listening: Proofs = {
  "event callbacks are deregistered": async ({ on }) => {
    const lifecycle = { eventId: p.domainEvents.lifecycle.eventId };
    const ofDomains = await on.answers(p.connectDomainEventCallbackRegisterAny, { ...lifecycle, dom: null });
    await on.answers(p.connectDomainEventCallbackDeregisterAny, ofDomains);
    await on.refuses(p.connectDomainEventCallbackDeregisterAny, ofDomains, "LIBVIRT_INTERNAL_ERROR");
    const ofNetworks = await on.answers(p.connectNetworkEventRegisterAny, { ...lifecycle, net: null });
    await on.answers(p.connectNetworkEventDeregisterAny, ofNetworks);
    const ofPools = await on.answers(p.connectStoragePoolEventRegisterAny, { ...lifecycle, pool: null });
    await on.answers(p.connectStoragePoolEventDeregisterAny, ofPools);
    const ofDevices = await on.answers(p.connectNodeDeviceEventRegisterAny, { ...lifecycle, dev: null });
    await on.answers(p.connectNodeDeviceEventDeregisterAny, ofDevices);
    const ofSecrets = await on.answers(p.connectSecretEventRegisterAny, { ...lifecycle, secret: null });
    await on.answers(p.connectSecretEventDeregisterAny, ofSecrets);
    const ofMonitors = await on.answers(p.connectDomainMonitorEventRegister, {
      dom: null,
      event: "SHUTDOWN",
      flags: 0,
    });
    await on.answers(p.connectDomainMonitorEventDeregister, ofMonitors);
  },
};
