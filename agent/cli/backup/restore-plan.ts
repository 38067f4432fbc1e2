import { randomUUID } from "node:crypto";
import { toSocleError, SocleError } from "../../kernel/errors.ts";
import type { Contract } from "../../contract/load.ts";
import type { VmSpec } from "../../gen/socle/v1/VmSpec.ts";
import { usageError } from "../errors.ts";
import type { Session } from "../session.ts";
import { parseNic } from "../vm-spec.ts";
import { decide, type AcceptOptions, type DecidedRequest } from "./acceptance.ts";
import { requireReadable, type OpenSource } from "./backup-directory.ts";
import { requestsOf, withoutRequests, type Named } from "./host-requests.ts";
import { chainOf, requireBackup, type Manifest, type StoredBackup, type StoredDisk } from "./manifest.ts";
import { readPassphrase } from "./passphrase.ts";
import { restoredSpec, type RestoredSpec, type RestoreOptions } from "./restored-spec.ts";

export interface Source {
  readonly manifest: Manifest;
  readonly openSource: OpenSource;
}

export interface PlanOptions extends RestoreOptions, AcceptOptions {
  readonly backup?: string;
  readonly passphraseFile?: string;
  /** In place of the spec's; "": none. */
  readonly tenant?: string;
  /** NIC=NETWORK or NIC=bridge:BRIDGE, in place of the spec's. */
  readonly nic?: readonly string[];
}

/** A VM to make of a backup. */
export interface RestorePlan extends Source, RestoredSpec {
  readonly backup: StoredBackup;
  /** Of the disks, with those below. */
  readonly files: readonly StoredDisk[];
  /** Opens the encrypted files. */
  readonly passphrase: Buffer | undefined;
  /** What the spec requests of the host. Undecided requests are part of the plan. */
  readonly requests: readonly DecidedRequest[];
}

/** Changes nothing. Throws as `requireReadable`, and `invalid` BACKUP_DAMAGED. */
export async function planRestore(
  session: Session,
  source: Source,
  options: PlanOptions,
): Promise<RestorePlan> {
  const { passphraseFile } = options;
  const passphrase = passphraseFile === undefined ? undefined : await readPassphrase(passphraseFile);
  const { manifest, openSource } = source;
  const backup = requireBackup(manifest, options.backup);
  const { contract } = await session.agent();
  const { spec, named } = withNames(asSent(contract, backup), options);
  const requests = decide(requestsOf(spec, backup, named), options);
  const left = requests.filter(({ decision }) => decision === "left_out");
  const wanted = withoutRequests(spec, backup, new Set(left.map(({ kind }) => kind)), named);
  const restored = restoredSpec(manifest, { ...backup, spec: wanted }, randomUUID(), options);
  const files = restored.disks.flatMap((stored) => chainOf(manifest, stored));
  await requireReadable(openSource, files, passphrase);
  return { ...source, ...restored, backup, files, passphrase, requests };
}

/**
 * The spec as the agent would get it: what a person accepts is what is sent. The encoder takes a list of one text for a text,
 * and any text for true.
 */
function asSent({ vms: { CreateVm } }: Contract, { id, spec }: StoredBackup): VmSpec {
  try {
    const bytes = CreateVm.requestSerialize({ spec });
    return CreateVm.requestDeserialize(bytes).spec ?? {};
  } catch (cause) {
    const { message } = toSocleError(cause);
    throw new SocleError("invalid", "BACKUP_DAMAGED", `the spec of backup ${id} is not valid: ${message}`, {
      cause,
    });
  }
}

/** The spec with what a person named in place of its own. */
function withNames(
  spec: VmSpec,
  { tenant, nic: networks = [] }: PlanOptions,
): { readonly spec: VmSpec; readonly named: Named } {
  const places = new Map(
    networks.map((text) => {
      const [name = "", ...place] = text.split("=");
      if (place.join("=") === "")
        throw usageError(`--nic takes NIC=NETWORK or NIC=bridge:BRIDGE, not '${text}'`);
      return [name, parseNic(place.join("="), name)] as const;
    }),
  );
  const nics = spec.nics ?? [];
  const unknown = [...places.keys()].find((name) => !nics.some((nic) => nic.name === name));
  if (unknown !== undefined) {
    const known = nics.map(({ name = "" }) => name).join(", ");
    throw usageError(`the VM has no NIC ${unknown}; it has ${known === "" ? "none" : known}`);
  }
  const placed = nics.map((nic) => {
    const place = places.get(nic.name ?? "");
    if (place === undefined) return nic;
    const { network: _network, bridge: _bridge, source: _source, ...others } = nic;
    return { ...others, ...place };
  });
  return {
    spec: { ...spec, nics: placed, ...(tenant !== undefined && { tenant }) },
    named: { tenant: tenant !== undefined, nics: new Set(places.keys()) },
  };
}
