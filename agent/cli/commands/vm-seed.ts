import { withCloudInitFlags } from "../cloud-init.ts";
import { usageError } from "../errors.ts";
import { mutate, type MutationOptions } from "../follow.ts";
import type { Command } from "../session.ts";

interface Options extends MutationOptions {
  readonly hostname?: string;
  readonly sshKey?: readonly string[];
  /** False: --no-ssh-keys. */
  readonly sshKeys?: boolean;
  /** False: without it. */
  readonly userData?: string | boolean;
  readonly networkConfig?: string | boolean;
  readonly seedPool?: string;
  readonly runAgain?: boolean;
  readonly dryRun?: boolean;
}

const fileOf = (value: string | boolean | undefined): string | undefined =>
  typeof value === "string" ? value : undefined;

export const changeSeed: Command = async (session, [vm = ""], options: Options) => {
  const { hostname, sshKey, sshKeys, seedPool, runAgain = false, dryRun: validateOnly = false } = options;
  const [userData, networkConfig] = [fileOf(options.userData), fileOf(options.networkConfig)];
  if (userData === "-" && networkConfig === "-")
    throw usageError("stdin (-) can be one of --user-data and --network-config");
  if (sshKey !== undefined && sshKeys === false)
    throw usageError("--ssh-key and --no-ssh-keys exclude each other");
  const paths = [
    ...(hostname === undefined ? [] : ["hostname"]),
    ...(sshKey === undefined && sshKeys !== false ? [] : ["ssh_keys"]),
    ...(userData === undefined && options.userData !== false ? [] : ["user_data"]),
    ...(networkConfig === undefined && options.networkConfig !== false ? [] : ["network_config"]),
  ];
  if (paths.length === 0 && !runAgain)
    throw usageError(
      "name what to change: --hostname, --[no-]ssh-key(s), --[no-]user-data, --[no-]network-config or --run-again",
    );
  const flags = { hostname, sshKey, userData, networkConfig, seedPool };
  const cloudInit =
    (await withCloudInitFlags(
      session,
      undefined,
      Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined)),
    )) ?? null;
  return await mutate(session, options, ({ vms }) => vms.ChangeSeed, {
    vm,
    validateOnly,
    cloudInit,
    updateMask: { paths },
    newInstanceId: runAgain,
  });
};
