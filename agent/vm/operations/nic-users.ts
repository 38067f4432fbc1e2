import { SocleError } from "../../kernel/errors.ts";
import { canonicalAddress } from "../../kernel/text/ip-ranges.ts";
import { macOf } from "../observation/domain-document.ts";
import type { NicSpec } from "../../contract/spec.ts";
import type { Vm } from "../model/vm.ts";
import type { DeviceSpec } from "../model/volume-names.ts";
import type { Users } from "../storage/volume-users.ts";

/** The user of MAC addresses and filter addresses: a VM, or one that is being created or changed. */
interface Holder {
  readonly id: string;
  readonly name: string;
  /** Undefined: Socle did not create it. */
  readonly tenant: string | undefined;
  readonly macs: readonly string[];
  readonly addresses: readonly string[];
}

/** A spec does not change, and every later creation compares with it. */
const ofSpec = new WeakMap<DeviceSpec, Pick<Holder, "macs" | "addresses">>();

function nicsOf(spec: DeviceSpec): Pick<Holder, "macs" | "addresses"> {
  const known = ofSpec.get(spec);
  if (known !== undefined) return known;
  const found = {
    macs: spec.nics.map((nic) => macOf(spec.id, nic)),
    addresses: spec.nics.flatMap(addressesOf),
  };
  ofSpec.set(spec, found);
  return found;
}

function* holdersOf({ vms, creations }: Users): Generator<Holder> {
  for (const vm of vms) yield holderOf(vm);
  for (const spec of creations) yield { id: spec.id, name: spec.name, tenant: spec.tenant, ...nicsOf(spec) };
}

function holderOf({ id, name, managed, tenant, spec, nics }: Vm): Holder {
  const { macs, addresses } = spec === undefined ? { macs: [], addresses: [] } : nicsOf(spec);
  return {
    id,
    name,
    tenant: managed ? tenant : undefined,
    macs: [...macs, ...nics.map(({ mac }) => mac.toLowerCase())],
    addresses,
  };
}

/** Addresses are distinct per network: tenants' private networks overlap. */
const addressesOf = ({ source, allowedAddresses }: NicSpec): string[] =>
  allowedAddresses.map((address) => {
    const at = source.kind === "network" ? `network ${source.network}` : `bridge ${source.bridge}`;
    return `${canonicalAddress(address)} on ${at}`;
  });

/**
 * Throws `conflict` MAC_IN_USE if a NIC of a new VM has the MAC address of another NIC on this host. ADDRESS_IN_USE:
 * another tenant's VM has the filter address on the same network or bridge. The VMs of one tenant may share an address,
 * as pairs with a virtual IP do. `tenantOnly`: the error does not name another tenant's VM.
 */
export function requireNicsFree(spec: DeviceSpec, users: Users, tenantOnly: boolean): void {
  const { macs, addresses } = nicsOf(spec);
  const twice = macs.find((mac, index) => macs.indexOf(mac) !== index);
  if (twice !== undefined) throw inUse("MAC_IN_USE", `MAC address ${twice}`, "another NIC of this VM", {});
  if (macs.length === 0) return;
  for (const holder of holdersOf(users)) {
    if (holder.id === spec.id) continue;
    const isHidden = tenantOnly && holder.tenant !== spec.tenant;
    const by = isHidden ? "a VM that is not yours" : `VM ${holder.name}`;
    const whose: Record<string, string> = isHidden ? {} : { users: holder.id };
    const mac = macs.find((own) => holder.macs.includes(own));
    if (mac !== undefined) throw inUse("MAC_IN_USE", `MAC address ${mac}`, by, { mac, ...whose });
    if (holder.tenant === spec.tenant) continue;
    const address = addresses.find((own) => holder.addresses.includes(own));
    if (address !== undefined)
      throw inUse("ADDRESS_IN_USE", `address ${address}`, by, {
        address: address.split(" ")[0] ?? "",
        ...whose,
      });
  }
}

/** Throws `conflict` MAC_IN_USE if another NIC of the same VM has the address. */
export function requireMacFree(mac: string, others: readonly string[]): void {
  if (others.includes(mac))
    throw inUse("MAC_IN_USE", `MAC address ${mac}`, "another NIC of this VM", { mac });
}

function inUse(reason: string, what: string, by: string, metadata: Record<string, string>): SocleError {
  const message = `${what} is in use by ${by}; choose another`;
  return new SocleError("conflict", reason, message, { details: { metadata } });
}
