import { withoutUndefined } from "../../kernel/defined.ts";
import { enumWords } from "../../contract/enum.ts";
import type { HostNetwork, Listed } from "../../host/host.ts";
import type { NetworkServiceHandlers } from "../../gen/socle/v1/NetworkService.ts";
import type { VirtualNetwork } from "../../gen/socle/v1/VirtualNetwork.ts";
import { listObservation, observationOf } from "../convert/listing.ts";
import { pageOf } from "../limits/paging.ts";
import type { ServiceDependencies } from "./dependencies.ts";
import type { Methods } from "./handler.ts";

const states = enumWords("NETWORK_STATE", ["active", "inactive", "unknown"]);

export function networkService({
  host,
  networksOf,
}: Pick<ServiceDependencies, "host" | "networksOf">): Methods<NetworkServiceHandlers> {
  return {
    ListNetworks: async (request, context) => {
      const { tenant } = context.caller;
      const { items: all, ...list } = host.listings.networks;
      const permitted = tenant === undefined ? undefined : new Set(networksOf(tenant));
      const items = permitted === undefined ? all : all.filter(({ name }) => permitted.has(name));
      const convert = permitted === undefined ? networkToProto : forTenant;
      const page = await pageOf(
        { items, idOf: ({ name }) => name, request, query: "networks" },
        convert,
        context.slice(),
      );
      return { networks: page.messages, ...page.rest, observation: listObservation(list) };
    },
  };
}

const forTenant = ({ name, item }: Listed<HostNetwork>): VirtualNetwork => ({
  name,
  state: states.toProto(item?.presence !== "present" ? "unknown" : item.active ? "active" : "inactive"),
});

function networkToProto(listed: Listed<HostNetwork>): VirtualNetwork {
  const { item: network, problem = "" } = listed;
  return {
    ...forTenant(listed),
    observation: observationOf(network),
    networkId: network?.uuid ?? "",
    bridge: network?.bridge ?? "",
    addresses: [...(network?.addresses ?? [])],
    problem,
    ...withoutUndefined({
      forwardMode: network?.forwardMode,
      autostart: network?.autostart,
      persistent: network?.persistent,
      dhcp: network?.dhcp,
    }),
  };
}
